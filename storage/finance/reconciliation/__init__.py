"""What a reconciliation reads, and what it keeps of itself.

Imports `ledger`. Start with `runs`, then `period_rows`.
"""
