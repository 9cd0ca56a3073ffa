"""Refunds: credit notes made, approved and rejected, each with its action.

Imports what credit notes are kept as. Start with `credit_notes`.
"""
