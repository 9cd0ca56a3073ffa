"""What finance closes the books with.

Imports `tables`; it reads the rows of the ledger, and never changes one. Start with
`statements`, then `chain`, which seals what they hold.
"""
