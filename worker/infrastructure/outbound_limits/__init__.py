"""How much others may be asked, by all workers together: rates, pauses, the breaker.

Start with `rate_limiter`, which lets one request after the other through;
`circuit_breaker` pauses whoever fails too often, and `shared_counters` counts.
"""
