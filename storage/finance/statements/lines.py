"""A statement as one table of lines: whatever shows it, renders these.

The movements say, account by account, how what a period began with became what it is
left with. All other lines say what the same credits went to, and change no account.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Accounts(NamedTuple):
    """The credits of a period by account, or how a movement changes them.

    `available` may be spent, `reserved` is held for jobs, `spent` was charged,
    `expired` has lapsed. Together they are what was ever granted.
    """

    available: int = 0
    reserved: int = 0
    spent: int = 0
    expired: int = 0

    def plus(self, other: "Accounts") -> "Accounts":
        """These after a movement."""
        return Accounts(*(one + two for one, two in zip(self, other, strict=True)))


class Kind(StrEnum):
    """What moves credits; its movement goes from account to account as given here."""

    GRANTED = "granted"
    """Granted when the period began."""
    TOPPED_UP = "topped_up"
    RESERVED = "reserved"
    SETTLED = "settled"
    VIEWED = "viewed"
    RELEASED = "released"
    REFUNDED = "refunded"
    EXPIRED = "expired"
    REOPENED = "reopened"
    """Had expired, before the period ran again."""


_EFFECTS = {
    Kind.GRANTED: Accounts(available=1),
    Kind.TOPPED_UP: Accounts(available=1),
    Kind.RESERVED: Accounts(available=-1, reserved=1),
    Kind.SETTLED: Accounts(reserved=-1, spent=1),
    Kind.VIEWED: Accounts(available=-1, spent=1),
    Kind.RELEASED: Accounts(available=1, reserved=-1),
    Kind.REFUNDED: Accounts(available=1, spent=-1),
    Kind.EXPIRED: Accounts(available=-1, expired=1),
    Kind.REOPENED: Accounts(available=1, expired=-1),
}


def effect_of(kind: Kind, credits_: int) -> Accounts:
    """How a movement changes the accounts."""
    return Accounts(*(sign * credits_ for sign in _EFFECTS[kind]))


class Section(StrEnum):
    """What a line is of, in the order in which they are shown."""

    OPENING = "opening"
    MOVEMENT = "movement"
    CLOSING = "closing"
    TOP_UP = "top_up"
    CREDIT_NOTE = "credit_note"
    ITEM = "item"
    USER = "user"
    JOB = "job"
    LATE = "late"
    MEMO = "memo"


VIEWS = "views"
"""The key under which what has no job stands, as in the usage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line; what does not apply is None.

    `key` is a kind, a reference, a number, an item, a user or a job, by the section.
    `credits` is never below zero: which way they went is told by `accounts`, which are
    what they were and became in opening and closing. Of what was charged, `refunded`
    was given back in this run. `at` is when it happened, or first happened; of a memo,
    when the period began that it is of.
    """

    section: Section
    key: str | None = None
    job: str | None = None
    count: int | None = None
    credits: int | None = None
    refunded: int | None = None
    accounts: Accounts | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """The period before, as it stood: nothing of it is carried over.

    `run` and `head` are of its last frozen statement, None where none is.
    """

    starts_at: datetime
    closing: Accounts
    run: int | None
    head: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A run of a period's statement.

    The first holds all that moved until the period was closed, each later one what has
    moved since the one before. What is not frozen yet has no `frozen_at`.
    """

    license_id: str
    starts_at: datetime
    ends_at: datetime
    run: int
    lines: tuple[Line, ...]
    previous: Previous | None
    head: str | None
    frozen_at: datetime | None

    def of(self, section: Section) -> list[Line]:
        """The lines of one section."""
        return [line for line in self.lines if line.section is section]

    @property
    def closing(self) -> Accounts:
        """What the run leaves behind."""
        (line,) = self.of(Section.CLOSING)
        assert line.accounts is not None  # noqa: S101 - a closing is accounts
        return line.accounts
