"""Balances: when credits run out, who is told, and a license's own overview.

Imports `storage.finance.balances`. Start with `balance_forecast`.
"""
