"""Which lines a record had to leave, by how it ended: rules 4 and 5 once more. Pure."""

from enum import Enum, auto
from typing import NamedTuple


class Ending(NamedTuple):
    """How a record ended, as it was written down."""

    outcome: str
    email_found: bool = False
    phone_found: bool = False
    change: str | None = None
    code: str | None = None


NEVER_REACHED = Ending("unreached")


class Due(Enum):
    """What is due of one claim."""

    NOTHING = auto()
    SENT = auto()
    UNCHANGED = auto()
    """A line at 0, unless another record has sent the same."""
    SENT_OR_UNCHANGED = auto()
    """What was written down does not say whether the person changed too."""
    MAYBE = auto()
    """A rejected record of a push: due where the CRM has written its company."""


def due(item: str, ending: Ending, *, is_push: bool, has_person: bool) -> Due:
    """What is due of a claim, by its record's end."""
    if ending.outcome == "rejected":
        return Due.MAYBE if is_push and item == "company" else Due.NOTHING
    if ending.outcome != "delivered":
        return Due.NOTHING
    if item == "email" and not ending.email_found:
        return Due.NOTHING
    if item == "phone" and not ending.phone_found:
        return Due.NOTHING
    if not is_push or ending.change == "created":
        return Due.SENT
    if ending.change == "updated":
        # A company that changed with another of its records counts as its person's.
        return Due.SENT_OR_UNCHANGED if has_person and item != "company" else Due.SENT
    return Due.UNCHANGED


def wrong_line(
    price: int | None, unit: int, what: Due, *, rule: str, credits_: int
) -> str | None:
    """What a line had to say, where it says something else.

    `price` is what the quote froze, None where it is not known any more.
    """
    if rule == "unchanged":
        if what is Due.SENT:
            return "a line of what was sent"
        return None if credits_ == 0 else "0 credits"
    # A claim that nothing was sent of has another line where another record sent it:
    # that is for whoever sees all records.
    if price not in (None, 0, unit):
        return f"a quoted price of 0 or {unit}"
    if price == 0 and rule != "free_as_quoted":
        return "free_as_quoted, 0 credits"
    if price and rule == "free_as_quoted":
        return f"price, {unit} credits, or paid_meanwhile"
    right = unit if rule == "price" else 0
    return None if credits_ == right else f"{right} credits"
