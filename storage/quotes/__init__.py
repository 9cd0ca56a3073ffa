"""Quotes as they are stored: what was asked, at which frozen terms.

Imports `tables`. Start with `quotes`.
"""
