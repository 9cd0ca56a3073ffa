"""What is remembered of pushes alone: intents, batches in doubt, dry runs.

Imports `jobs` and `connections`. Start with `intents`.
"""
