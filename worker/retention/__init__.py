"""What is let go: files and rows after their time, persons who are erased, old keys.

Imports `quotes` and `exports`, whose files it knows. Start with `pruner`.
"""
