"""Transfers as a journal of double entry, for any program that keeps one.

A period has an account for what is available, spent and expired, and one for each
reservation; credits come from outside. At its end stand the balances that the house's
own counters have, for the program to hold its sums against.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from storage.database import Database
from storage.finance.warehouse.ledger_rows import Balances, Dataset, PeriodOf
from worker.finance.warehouse.period_rows import Picture, batches

COMMODITY = "CREDIT"
_PLAIN = re.compile(r"[A-Za-z0-9-]{1,100}")
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9-]+")
_DIGEST_LENGTH = 16


class Posted(NamedTuple):
    """A transfer as a journal has it: credits move from one account to the other."""

    id: int
    at: date
    kind: str
    about: str
    credits: int
    source: str
    target: str


class Held(NamedTuple):
    """What accounts hold after the last transfer, by the house's counters.

    Of reserved it is all reservations of the period together.
    """

    at: date
    by_account: dict[str, int]


Entry = Posted | Held


def entries(database: Database, picture: Picture) -> Iterator[Entry]:
    """Each period's transfers in their order, and then what its accounts hold."""
    for period in picture.periods:
        last: date | None = None
        for rows in batches(database, Dataset.TRANSFERS, picture, period):
            for row in rows:
                posted = _posted(period, row)
                last = max(last or posted.at, posted.at)
                yield posted
        if last is not None:
            yield Held(last, _held(period, picture.balances[period.id]))


def _posted(period: PeriodOf, row: Mapping[str, Any]) -> Posted:
    at: datetime = row["created_at"]
    return Posted(
        id=row["id"],
        at=at.astimezone(UTC).date(),
        kind=row["kind"],
        about=row["job"] or row["reference"] or "",
        credits=row["credits"],
        source=_account(period, row["from_account"], row["reservation"]),
        target=_account(period, row["to_account"], row["reservation"]),
    )


def _held(period: PeriodOf, balances: Balances) -> dict[str, int]:
    return {
        _account(period, name, None): getattr(balances, name)
        for name in ("available", "reserved", "spent", "expired")
    }


def _account(period: PeriodOf, name: str, reservation: int | None) -> str:
    whose = _component(period.license_id)
    if name == "outside":
        return f"Equity:Outside:{whose}"
    within = f"Credits:{whose}:{_named(period.starts_at)}"
    if name in {"spent", "expired"}:
        return f"Expenses:{within}:{name.title()}"
    if name == "reservation":
        return f"Assets:{within}:Reserved:R{reservation}"
    return f"Assets:{within}:{name.title()}"


def _component(license_id: str) -> str:
    """A license in the name of an account: no two have the same.

    Accounts are named by few characters: ids of others are told apart by a digest.
    """
    if _PLAIN.fullmatch(license_id):
        return f"L-{license_id}"
    digest = hashlib.sha256(license_id.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"X-{_NOT_PLAIN.sub('-', license_id)[:60]}-{digest}"


def _named(starts_at: datetime) -> str:
    at = starts_at.astimezone(UTC)
    return f"P{at:%Y%m%dT%H%M%S}" + (f"-{at:%f}" if at.microsecond else "")


def one_line(words: str) -> str:
    """Words of others without what ends a line, a comment or a text."""
    return " ".join(re.sub(r"[\s\x00-\x1f\x7f\";|\\]+", " ", words).split())
