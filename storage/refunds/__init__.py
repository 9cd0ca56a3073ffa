"""Refunds: charges given back by credit notes, which people author and approve.

Imports the ledger's entitlements and the events. Start with `credit_notes`.
"""
