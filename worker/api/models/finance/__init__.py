"""Finance's bodies and answers: a module for each noun.

Imports nothing but types. Start with `reconciliations`.
"""
