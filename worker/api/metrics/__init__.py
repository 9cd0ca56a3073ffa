"""`/metrics`, for Prometheus: what waits and runs, what was counted, what was asked.

The first two are looked at when they are asked for, so that each process of the API
says the same of them; requests are counted by the process that answered them.
Imports `storage`, and what `worker` counts and knows of clock and audit. Start with
`route`.
"""
