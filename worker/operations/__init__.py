"""Use cases of operators: whose turn it is, and what is held.

Imports `infrastructure`. Start with `turn_order`.
"""
