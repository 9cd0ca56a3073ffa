"""What finance closes a month with: a module for each noun.

Start with `statements`.
"""
