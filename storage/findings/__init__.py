"""E-mails and phones: our own directory, what providers answered, and at what cost.

Imports `tables`. Start with `findings`.
"""
