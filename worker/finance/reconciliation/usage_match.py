"""A vendor's usage file, matched against what was asked and paid, or written."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import BinaryIO, NamedTuple

from storage.finance.reconciliation import usage_rows
from storage.finance.reconciliation.usage_rows import UsageOf, Used
from worker.exports.writers.delimited import FOR_PEOPLE
from worker.finance.reconciliation import usage_file
from worker.infrastructure.clock import instant
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused, bad
from worker.responses.response import Answer

OURS_MAX = 500_000
"""Ids of ours that are held at once."""
ANSWERED_MAX = 10_000
"""Ids that clients are answered with, those that differ first; all are counted."""
_SHOWN_MAX = 200
_MICROSECOND = timedelta(microseconds=1)


class MatchState(StrEnum):
    """What became of an id."""

    MATCHED = "matched"
    OURS_ONLY = "ours_only"
    THEIRS_ONLY = "theirs_only"
    DIFFERENT_AMOUNT = "different_amount"


class Match(NamedTuple):
    """An id, with what both sides say; None where one says nothing."""

    state: MatchState
    id: str
    ours: Decimal | None
    theirs: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageMatch:
    """All ids of both sides, and from when to when the file's lines are."""

    matches: Sequence[Match]
    since: datetime | None
    before: datetime | None

    def count(self, state: MatchState) -> int:
        """How many ids are so."""
        return sum(one.state is state for one in self.matches)

    @property
    def differs(self) -> bool:
        """Whether anything is not on both sides, or not at one amount."""
        return any(one.state is not MatchState.MATCHED for one in self.matches)


class Vendor(NamedTuple):
    """Whose file it is: what its ids are, and of which provider or connection."""

    what: UsageOf
    of: str


def vendor_of(provider: str | None, connection: str | None, by: str) -> Vendor:
    """Whose file somebody has named: a provider's, or a connection's to a CRM.

    Raises `BadInput` where both are named, or neither.
    """
    if (provider is None) == (connection is None):
        raise bad("provider", "or connection is needed, and not both")
    if connection is not None:
        return Vendor(UsageOf.RECORD, connection)
    return Vendor(UsageOf(by), provider or "")


def match(
    deps: Deps, stream: BinaryIO, vendor: Vendor, columns: Mapping[str, str]
) -> UsageMatch:
    """Match a CSV by the columns that are named.

    Where it has no column `at`, all that was ever used is compared. Raises `BadInput`
    with lines and columns, and `Refused` where it has too many lines, or there is no
    such vendor.
    """
    _check_known(deps, vendor)
    file = usage_file.read(stream, columns)
    before = file.last + _MICROSECOND if file.last else None
    with deps.database.transaction(patient=True) as connection:
        used = usage_rows.used(connection, *vendor, since=file.first, before=before)
        with closing(used) as ours:
            matches = list(_matches(ours, file.amounts))
    matches.sort(key=lambda one: (one.state is MatchState.MATCHED, one.id))
    return UsageMatch(matches=matches, since=file.first, before=before)


def _check_known(deps: Deps, vendor: Vendor) -> None:
    """Refuse a slip in a name, for which the whole file would be theirs alone."""
    configured = {name.strip() for name in deps.settings.providers.split(",")}
    if vendor.what is not UsageOf.RECORD and vendor.of in configured:
        return
    with deps.database.reading() as connection:
        if usage_rows.is_known(connection, *vendor):
            return
    kind = "connection" if vendor.what is UsageOf.RECORD else "provider"
    raise Refused(Code.NOT_FOUND, f"there is no {kind} {vendor.of}")


def _matches(
    ours: Iterable[Used], theirs: Mapping[str, Decimal | None]
) -> Iterator[Match]:
    left = dict.fromkeys(theirs)
    only_ours = 0
    for used in ours:
        found = next((one for one in used.ids if one in theirs), None)
        if found is not None:
            left.pop(found, None)
            yield _compared(found, used.amount, theirs[found])
        elif used.is_inside:
            only_ours += 1
            if only_ours > OURS_MAX:
                message = f"more than {OURS_MAX} ids are ours alone: name a column at"
                raise Refused(Code.TOO_LARGE, message)
            yield Match(MatchState.OURS_ONLY, used.ids[0], used.amount, None)
    for id_ in left:
        yield Match(MatchState.THEIRS_ONLY, id_, None, theirs[id_])


def _compared(id_: str, ours: Decimal | None, theirs: Decimal | None) -> Match:
    is_one = ours is None or theirs is None or ours == theirs
    state = MatchState.MATCHED if is_one else MatchState.DIFFERENT_AMOUNT
    return Match(state, id_, ours, theirs)


def as_csv(found: UsageMatch) -> bytes:
    """The matches as a file for people: those that differ first."""
    rows = [["state", "id", "ours", "theirs"]]
    rows += [
        [one.state.value, one.id, _amount(one.ours), _amount(one.theirs)]
        for one in found.matches
    ]
    return FOR_PEOPLE.encoded((), rows)


def _amount(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount.normalize():f}"


def answer_of(found: UsageMatch) -> Answer:
    """The matches as clients see them, those that differ first."""
    return {
        "since": instant(found.since),
        "before": instant(found.before),
        "counts": {state.value: found.count(state) for state in MatchState},
        "matches": [
            {
                "state": one.state.value,
                "id": one.id,
                # Exact: a number in JSON is a float to most.
                "ours": _amount(one.ours) or None,
                "theirs": _amount(one.theirs) or None,
            }
            for one in found.matches[:ANSWERED_MAX]
        ],
        "matches_total": len(found.matches),
    }


def text_of(found: UsageMatch) -> str:
    """The same for a person at a terminal: the counts, and what differs."""
    lines = [f"{state.value:<17} {found.count(state):>9,}" for state in MatchState]
    lines += [
        f"{one.state.value} {one.id}: ours {_amount(one.ours) or 'none'}, "
        f"theirs {_amount(one.theirs) or 'none'}"
        for one in found.matches[:_SHOWN_MAX]
        if one.state is not MatchState.MATCHED
    ]
    return "\n".join(lines)
