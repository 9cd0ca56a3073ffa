"""E-mails and phones: the house's directory, what providers answered, and at what cost.

Imports `tables`. Start with `findings`.
"""
