"""Pipedrive: organizations and persons, which it cannot upsert.

Start with `connector`, which implements the protocol.
"""
