"""Amounts of credits as they come in: what a person may have meant."""

from worker.infrastructure.errors import bad

CREDITS_MAX = 1_000_000_000_000
"""More than this in one grant is taken for a mistake."""


def check_credits(field: str, value: int, *, least: int) -> None:
    """Credits that a person may have meant. Raises `BadInput`."""
    if not least <= value <= CREDITS_MAX:
        raise bad(field, f"must be {least} to {CREDITS_MAX}, not {value}")
