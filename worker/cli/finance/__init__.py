"""Finance on the command line: a module for each noun.

Imports `finance`. Start with `chain`.
"""
