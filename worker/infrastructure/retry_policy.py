"""The retry policy: how long what has failed waits before it is tried again."""


def backoff_s(failures: int, *, base_s: float, max_s: float) -> float:
    """The delay after so many failures: doubling from `base_s`, at most `max_s`."""
    doublings = min(failures, 30)
    return min(base_s * (1 << doublings), max_s)
