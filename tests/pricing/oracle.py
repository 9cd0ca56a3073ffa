"""What the rules of the credits say, once more: slowly, and with nothing shared.

It imports nothing of the product and speaks in plain words ("company", "V3"), so
that a mistake in the rules' code cannot hide in its own test. Each function goes
through the whole history and all records again, however often that was done.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

WHOLE_SECOND = timedelta(seconds=1)

KNOWN = ""
"""Stands for a digest where the directory knows the person: the id alone decides."""

PRICES = {
    "V1": {"view": 0, "company": 1, "email": 1, "phone": 2},
    "V2": {"view": 0, "company": 1, "email": 1, "phone": 2},
    "V3": {"view": 1, "company": 1, "email": 1, "phone": 2},
}


@dataclass(frozen=True)
class Buyer:
    """A license on a plan, and when it asks."""

    plan: str
    payment_term: str
    quoted_at: datetime

    @property
    def window(self) -> timedelta:
        if self.plan == "V3" and self.payment_term == "yearly":
            return timedelta(days=365)
        return timedelta(days=30)


class Subject(NamedTuple):
    """Whom a credit belongs to."""

    item: str
    id: str
    digest: str


@dataclass(frozen=True)
class Past:
    """What a license did with a subject, last; `paid` until it was refunded."""

    subject: Subject
    exported_at: datetime | None = None
    viewed_at: datetime | None = None
    paid: bool = True


class Asks(NamedTuple):
    """One record of a job."""

    company_id: str
    person_id: str | None
    digest: str = KNOWN


class Became(NamedTuple):
    """What became of one record."""

    outcome: str
    email_found: bool = False
    phone_found: bool = False
    unchanged: bool = False
    company_touched: bool = False
    """The CRM has created or updated the company or one of its persons."""


class Ask(NamedTuple):
    """One claim of one record: whom it is for, and what it costs at most."""

    subject: Subject
    credits: int


def in_window(buyer: Buyer, at: datetime | None) -> bool:
    """Rolling, to the second; exactly one window ago still counts."""
    if at is None:
        return False
    whole = at - timedelta(microseconds=at.microsecond)
    asked = buyer.quoted_at - timedelta(microseconds=buyer.quoted_at.microsecond)
    return (asked - whole) // WHOLE_SECOND <= buyer.window // WHOLE_SECOND


def frees(buyer: Buyer, past: Past) -> bool:
    """Whether what was done makes the same subject free now."""
    if not past.paid:
        return False
    if in_window(buyer, past.exported_at):
        return True
    views_count = buyer.plan == "V3" and past.subject.item == "company"
    return views_count and in_window(buyer, past.viewed_at)


def free_digests(
    buyer: Buyer, history: Sequence[Past], item: str, subject_id: str
) -> list[str]:
    """Under which digests an id is free, in their order."""
    return sorted(
        past.subject.digest
        for past in history
        if (past.subject.item, past.subject.id) == (item, subject_id)
        and frees(buyer, past)
    )


def is_duplicate(records: Sequence[Asks], place: int) -> bool:
    """The same company with the same person (or none): the first counts."""
    return any(
        (earlier.company_id, earlier.person_id)
        == (records[place].company_id, records[place].person_id)
        for earlier in records[:place]
    )


def distinct(records: Sequence[Asks]) -> list[Asks]:
    """The records without duplicates."""
    return [
        record
        for place, record in enumerate(records)
        if not is_duplicate(records, place)
    ]


def asks_of(
    buyer: Buyer,
    history: Sequence[Past],
    records: Sequence[Asks],
    retrieve: Sequence[str],
    place: int,
) -> list[Ask]:
    """The claims of one record of a job, none for a duplicate."""
    if is_duplicate(records, place):
        return []
    record = records[place]
    wanted = [("company", record.company_id, KNOWN)]
    if record.person_id is not None:
        digest = _digest_in_job(records, place)
        wanted += [(item, record.person_id, digest) for item in retrieve]
    return [_ask(buyer, history, *claim) for claim in wanted]


def _digest_in_job(records: Sequence[Asks], place: int) -> str:
    """Where the directory knows the id, it is whoever bore the id first in the job."""
    record = records[place]
    if record.digest != KNOWN:
        return record.digest
    return next(
        other.digest
        for other in distinct(records[: place + 1])
        if other.person_id == record.person_id
    )


def _ask(
    buyer: Buyer, history: Sequence[Past], item: str, subject_id: str, digest: str
) -> Ask:
    free = free_digests(buyer, history, item, subject_id)
    if digest == KNOWN and free:
        # A known id goes on with whom was paid for; of several, with the first.
        digest = free[0]
    price = 0 if digest in free else PRICES[buyer.plan][item]
    return Ask(Subject(item, subject_id, digest), price)


def all_asks(
    buyer: Buyer,
    history: Sequence[Past],
    records: Sequence[Asks],
    retrieve: Sequence[str],
) -> list[list[Ask]]:
    """The claims of each record of a job."""
    return [
        asks_of(buyer, history, records, retrieve, place)
        for place in range(len(records))
    ]


def max_credits(
    buyer: Buyer,
    history: Sequence[Past],
    records: Sequence[Asks],
    retrieve: Sequence[str],
) -> int:
    """What all subjects of a job cost, each once."""
    asks = all_asks(buyer, history, records, retrieve)
    return sum(ask.credits for ask in {ask for claims in asks for ask in claims})


def fits_records(
    buyer: Buyer,
    history: Sequence[Past],
    records: Sequence[Asks],
    retrieve: Sequence[str],
    available: int,
) -> int:
    """The largest n whose first n records, without duplicates, can be paid for."""
    once = distinct(records)
    return max(
        n
        for n in range(len(once) + 1)
        if max_credits(buyer, history, once[:n], retrieve) <= available
    )


def changed(
    buyer: Buyer,
    history: Sequence[Past],
    records: Sequence[Asks],
    retrieve: Sequence[str],
) -> list[tuple[int, str, str]]:
    """Record (from 1), item and id of what is priced as somebody new.

    The id was paid for with other names or another domain, or bears them in an
    earlier record of this job. Each such subject is listed once.
    """
    listed: list[tuple[int, str, str]] = []
    met: set[Subject] = set()
    for place in range(len(records)):
        asks = asks_of(buyer, history, records, retrieve, place)
        for ask in asks:
            item, subject_id, digest = ask.subject
            if digest == KNOWN or ask.credits == 0 or ask.subject in met:
                continue
            paid_for = free_digests(buyer, history, item, subject_id)
            earlier = {
                other.digest
                for other in distinct(records[:place])
                if other.person_id == subject_id
            }
            if paid_for or earlier - {digest}:
                listed.append((place + 1, item, subject_id))
        met |= {ask.subject for ask in asks}
    return listed


def settled(
    buyer: Buyer,
    history: Sequence[Past],
    records: Sequence[Asks],
    retrieve: Sequence[str],
    outcomes: Sequence[Became],
) -> int:
    """What a job costs in the end: each subject that was delivered, once."""
    owed: set[Ask] = set()
    for place, became in enumerate(outcomes):
        for ask in asks_of(buyer, history, records, retrieve, place):
            if is_owed(ask.subject.item, became):
                owed.add(ask)
    return sum(ask.credits for ask in owed)


def is_owed(item: str, became: Became) -> bool:
    """Pay only for what is delivered."""
    if became.outcome == "rejected":
        return item == "company" and became.company_touched
    if became.outcome != "delivered" or became.unchanged:
        return False
    return {
        "company": True,
        "email": became.email_found,
        "phone": became.phone_found,
    }[item]
