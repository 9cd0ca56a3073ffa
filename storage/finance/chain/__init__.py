"""The chain: seals over the rows of money, run by run, and what they are read from.

Knows no key: whoever seals or checks has that from outside of the database. Start with
`sealed_rows`, then `runs`.
"""
