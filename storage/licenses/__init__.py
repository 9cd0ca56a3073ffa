"""Who pays, who may spend, and who calls: licenses, users, API keys, messages to users.

Imports `tables`. Start with `licenses`.
"""
