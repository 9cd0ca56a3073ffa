"""Finance's bodies and answers: credit notes.

Imports nothing but types. Start with `refunds`.
"""
