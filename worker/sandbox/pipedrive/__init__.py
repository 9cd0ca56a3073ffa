"""Pipedrive in the sandbox: an account without upserts, with a search that lags.

Start with `api`, its routes, then `account`, what is in it.
"""
