"""The objects that clients are answered with, the same for API, webhooks and `--json`.

Imports what they tell of from `storage`. Start with `job_responses`.
"""
