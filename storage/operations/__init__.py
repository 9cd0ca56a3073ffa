"""What operators look at and do: how everything stands, and one job in all detail.

Imports `webhooks` for the names of events. Start with `overview`.
"""
