"""Salesforce: accounts and contacts, by an external id field that an admin makes.

Start with `connector`, which implements the protocol.
"""
