"""What a charge's explanation is made of.

Imports `tables` of the ledger by their names alone. Start with `explained_charges`.
"""
