"""What a process says of itself: what it counts, what it logs, and traces.

Imports nothing. Start with `metric_families`, then `counters`; `log_format` for logs,
`traces` for traces.
"""
