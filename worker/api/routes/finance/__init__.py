"""What finance people ask for: refunds.

Imports the use cases. Start with `refunds`.
"""
