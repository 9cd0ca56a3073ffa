"""HubSpot in the sandbox: an account with state, limits and failures.

Start with `api`, its routes, then `portal`, what is in the account.
"""
