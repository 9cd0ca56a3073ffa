"""Webhooks: made by clients, told of events by workers.

Imports `responses` and `exports`, for what an event tells. Start with `webhooks`.
"""
