"""What was found: figures and their goals, the page in docs/, its plots.

Imports `installations`. Start with `figures`.
"""
