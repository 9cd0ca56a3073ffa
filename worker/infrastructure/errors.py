"""What can be wrong with what people hand in, and what is refused.

WorkerError
├── BadInput       names each line and field; nothing was changed
├── Refused        a rule said no, with a stable code; nothing was changed
├── NotConfigured  a setting is missing
├── OutboundError  somebody else's server gave no answer that could be used
│   └── ForbiddenTarget  it must not be asked at all
└── DeliveryError  the other side of a delivery does not play along just now
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import NamedTuple

log = logging.getLogger(__name__)


class Problem(NamedTuple):
    """What is wrong in one place; a line of 0 means the request as a whole."""

    line: int
    field: str | None
    message: str

    def __str__(self) -> str:
        """One line for a person: `line 4: company_id: is empty`."""
        place = f"line {self.line}: " if self.line else ""
        return f"{place}{self.field + ': ' if self.field else ''}{self.message}"


class WorkerError(Exception):
    """Something that the caller can act on."""


class BadInput(WorkerError):
    """Input that cannot be used; `problems` are the first of `total`."""

    def __init__(self, problems: list[Problem], total: int | None = None) -> None:
        self.problems = problems
        self.total = len(problems) if total is None else total
        super().__init__("; ".join(str(problem) for problem in problems[:3]))


def bad(field: str | None, message: str, *, line: int = 0) -> BadInput:
    """One problem as an error."""
    return BadInput([Problem(line, field, message)])


class Code(StrEnum):
    """The stable codes that clients see."""

    INVALID_REQUEST = "invalid_request"
    INSUFFICIENT_CREDITS = "insufficient_credits"
    CREDITS_NOT_ALLOWED = "credits_not_allowed"
    FORBIDDEN = "forbidden"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    CEILING_EXCEEDED = "ceiling_exceeded"
    QUOTE_EXPIRED = "quote_expired"
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"
    WRONG_STATE = "wrong_state"
    TOO_LARGE = "too_large"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    INTERNAL_ERROR = "internal_error"


class Refused(WorkerError):
    """A rule said no; `facts` are what the rule looked at."""

    def __init__(self, code: Code, detail: str, **facts: int) -> None:
        self.code = code
        self.detail = detail
        self.facts = facts
        super().__init__(detail)


class NotConfigured(WorkerError):
    """A setting is missing or cannot be used."""


class OutboundError(WorkerError):
    """A request that we made outside got no answer that could be used.

    `sent` says that all of it was written before that.
    """

    def __init__(self, message: str, *, sent: bool = True) -> None:
        self.sent = sent
        super().__init__(message)


class ForbiddenTarget(OutboundError):
    """A URL leads, or may lead, to where no request of ours may go."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"forbidden target: {reason}", sent=False)


class DeliveryError(WorkerError):
    """The other side of a delivery did not do what it was asked.

    `waiting_reason` is what the job says while it is tried again, `until_s` the seconds
    that pass before, where the other side says so.
    """

    waiting_reason = "retry"
    until_s: float | None = None


@contextmanager
def log_and_go_on() -> Iterator[None]:
    """Log what fails inside, and let the rest go on."""
    try:
        yield
    except Exception:
        log.exception("a sweep failed; the others go on")
