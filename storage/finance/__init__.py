"""What finance closes the books with.

Imports `tables`; it reads the rows of the ledger, and never changes one. Start with
`chain`.
"""
