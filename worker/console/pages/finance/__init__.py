"""The pages of finance people: refunds.

Imports the use cases. Start with `refunds`.
"""
