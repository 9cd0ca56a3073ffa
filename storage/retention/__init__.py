"""What is let go after its time, and what an erased person leaves behind.

Imports `files`, `jobs` and `webhooks`. Start with `expired_rows`.
"""
