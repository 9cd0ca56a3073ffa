"""The tables of finance: a module for each noun.

Imports the column types. Start with `credit_notes`.
"""
