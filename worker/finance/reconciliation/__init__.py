"""Reconciliation: every charge computed again, and all that says the same compared.

The rules are `pricing`'s, the data `storage.finance.reconciliation`'s; neither the
settlement's statement nor a worker's delivery is called. Start with `reconciler`.
"""
