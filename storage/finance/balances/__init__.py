"""Balances over time: how fast credits go, at which point somebody is told.

Imports the ledger's balances and the events. Start with `usage_rate`.
"""
