"""What a process says of itself: what it counts, and what stands on its log lines.

Imports nothing. Start with `metric_families`, then `counters`; `log_format` for logs.
"""
