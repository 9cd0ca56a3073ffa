"""What operators see and do: the overview, one job in detail, the action log.

Imports `jobs` and `webhooks`. Start with `overview`, then `action_log`.
"""
