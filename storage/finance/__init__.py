"""What finance closes a month with, read from the ledger and never written to it.

Imports `ledger`. Start with `statements`.
"""
