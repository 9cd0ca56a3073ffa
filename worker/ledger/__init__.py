"""Use cases around credits that no job reserves: top-ups, balances, views, the audit.

Imports `licenses`; the credits of a job are moved by `storage.ledger`. Start with
`balances`.
"""
