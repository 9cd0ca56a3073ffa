"""What finance does at the command line.

Imports the use cases of `worker.finance`. Start with `reconcile`.
"""
