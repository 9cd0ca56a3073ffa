"""What ids, names and amounts must look like, wherever they come in."""

from worker.errors import bad
from worker.records import id_problem

CREDITS_MAX = 1_000_000_000_000
"""More than this in one grant is taken for a mistake."""

_NAME_LENGTH_MAX = 500


def check_id(field: str, value: str) -> None:
    """An id as clients may choose it. Raises `BadInput`."""
    message = id_problem(value)
    if message is not None:
        raise bad(field, message)


def check_name(name: str) -> None:
    """What people call a thing. Raises `BadInput`."""
    if not name.strip() or len(name) > _NAME_LENGTH_MAX or not name.isprintable():
        raise bad("name", f"must be 1 to {_NAME_LENGTH_MAX} printable characters")


def check_credits(field: str, value: int, *, least: int) -> None:
    """Credits that a person may have meant. Raises `BadInput`."""
    if not least <= value <= CREDITS_MAX:
        raise bad(field, f"must be {least} to {CREDITS_MAX}, not {value}")
