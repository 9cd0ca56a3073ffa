"""What a process says of itself: what it counts, and under which names.

Imports nothing but the clock. Start with `metric_families`, then `counters`.
"""
