"""What ids and names must look like, wherever they come in."""

import re
import secrets

from worker.infrastructure.errors import bad

_NAME_LENGTH_MAX = 500


def check_id(field: str, value: str) -> None:
    """An id as clients may choose it. Raises `BadInput`."""
    message = id_problem(value)
    if message is not None:
        raise bad(field, message)


def check_name(name: str, field: str = "name") -> None:
    """What people call a thing, or say of it. Raises `BadInput`."""
    if not name.strip() or len(name) > _NAME_LENGTH_MAX or not name.isprintable():
        raise bad(field, f"must be 1 to {_NAME_LENGTH_MAX} printable characters")


def trimmed(value: str) -> str:
    """A company's or person's id: the white space around it is no part of it."""
    return value.strip()


ID_LENGTH_MAX = 200


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def has_control_character(value: str) -> bool:
    """Whether a text holds what no id and no address holds."""
    return _CONTROL.search(value) is not None


def id_problem(value: str) -> str | None:
    """What is wrong with an id, in words; None where it is fine."""
    if not value:
        return "is empty"
    if len(value) > ID_LENGTH_MAX:
        return f"is {len(value)} characters long; at most {ID_LENGTH_MAX} are allowed"
    if _CONTROL.search(value):
        return "contains a control character"
    return None


def new_id(kind: str) -> str:
    """A fresh id that says what it is the id of: `job_...`."""
    return f"{kind}_{secrets.token_hex(10)}"
