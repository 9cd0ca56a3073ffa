"""What operators see and do that is no job's own.

Start with `actions`.
"""
