"""A credit explained: what a charge is for, and why it cost what it did.

Start with `explanations`, then `sentences`.
"""
