"""What finance does, on the command line: a module for each noun.

Start with `statements`.
"""
