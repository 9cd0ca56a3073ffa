"""The tables of finance, besides the ledger's own.

Imports the types of columns. Start with `statements`.
"""
