"""Chores that run as processes of their own.

Start with `own_process`.
"""
