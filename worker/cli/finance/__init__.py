"""What finance people do at the command line: refunds.

Imports the use cases. Start with `refunds`.
"""
