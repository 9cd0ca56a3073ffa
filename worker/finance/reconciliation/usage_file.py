"""A vendor's usage file, matched against what was asked and paid, or written."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import BinaryIO, NamedTuple

from storage.finance.reconciliation import usage_rows
from storage.finance.reconciliation.usage_rows import UsageOf, Used
from worker.exports.writers.delimited import FOR_PEOPLE
from worker.infrastructure.clock import instant
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import BadInput, Code, Problem, Refused, bad
from worker.responses.response import Answer

LINES_MAX = 200_000
"""Lines of one file: all of its ids are held at once."""
_LINE_MAX = 64 << 10
_PROBLEMS_MAX = 100
_SHOWN_MAX = 200
_MICROSECOND = timedelta(microseconds=1)
COLUMNS = ("id", "amount", "at")


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


class _File(NamedTuple):
    """What a file says: amounts by id, and the first and last instant."""

    amounts: dict[str, Decimal | None]
    first: datetime | None
    last: datetime | None


def match(
    deps: Deps, stream: BinaryIO, what: UsageOf, of: str, columns: Mapping[str, str]
) -> UsageMatch:
    """Match a CSV by the columns that are named; `of` is a provider or a connection.

    Where it has no column `at`, all that was ever used is compared. Raises `BadInput`
    with lines and columns, and `Refused` where it has too many lines.
    """
    file = _read(stream, columns)
    before = file.last + _MICROSECOND if file.last else None
    with deps.database.transaction(patient=True) as connection:
        ours = usage_rows.used(connection, what, of, since=file.first, before=before)
        matches = list(_matches(ours, file.amounts))
    matches.sort(key=lambda one: (one.state is MatchState.MATCHED, one.id))
    return UsageMatch(matches=matches, since=file.first, before=before)


def _matches(
    ours: Iterable[Used], theirs: Mapping[str, Decimal | None]
) -> Iterator[Match]:
    left = dict.fromkeys(theirs)
    for used in ours:
        found = next((one for one in used.ids if one in theirs), None)
        if found is None:
            yield Match(MatchState.OURS_ONLY, used.ids[0], used.amount, None)
            continue
        left.pop(found, None)
        amount = theirs[found]
        is_one = amount is None or used.amount is None or amount == used.amount
        state = MatchState.MATCHED if is_one else MatchState.DIFFERENT_AMOUNT
        yield Match(state, found, used.amount, amount)
    for id_ in left:
        yield Match(MatchState.THEIRS_ONLY, id_, None, theirs[id_])


def _read(stream: BinaryIO, columns: Mapping[str, str]) -> _File:
    unknown = [name for name in columns if name not in COLUMNS]
    if unknown or "id" not in columns:
        raise bad("column", f"names id, and maybe amount and at: {', '.join(columns)}")
    rows = csv.reader(_lines(stream), strict=True)
    try:
        heading = next(rows, [])
        places = _places(heading, columns)
        return _rows(rows, lambda: rows.line_num, places, columns)
    except csv.Error as error:
        raise bad(None, f"is no CSV: {error}", line=rows.line_num) from error


def _lines(stream: BinaryIO) -> Iterator[str]:
    number = 0
    while line := stream.readline(_LINE_MAX + 1):
        number += 1
        if len(line) > _LINE_MAX:
            raise bad(None, f"is longer than {_LINE_MAX} bytes", line=number)
        if number > LINES_MAX + 1:
            message = f"there are more than {LINES_MAX} lines"
            raise Refused(Code.TOO_LARGE, message, lines_max=LINES_MAX)
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise bad(None, "is not UTF-8", line=number) from error


def _places(heading: Sequence[str], columns: Mapping[str, str]) -> dict[str, int]:
    places = {}
    for name, column in columns.items():
        if heading.count(column) != 1:
            how = "twice" if column in heading else "not"
            raise bad(
                column, f"is {how} among the columns {', '.join(heading)}", line=1
            )
        places[name] = heading.index(column)
    return places


def _rows(
    rows: Iterator[list[str]],
    line_of: Callable[[], int],
    places: Mapping[str, int],
    columns: Mapping[str, str],
) -> _File:
    amounts: dict[str, Decimal | None] = {}
    instants: list[datetime] = []
    problems: list[Problem] = []
    for row in rows:
        if not any(row):
            continue
        try:
            id_, amount, at = _values(row, places, columns, line_of())
        except BadInput as error:
            problems += error.problems
            if len(problems) >= _PROBLEMS_MAX:
                break
            continue
        before = amounts.get(id_)
        # A line for each answer: what one id cost is their sum.
        amounts[id_] = amount if before is None else before + (amount or 0)
        if at is not None:
            instants = [min([at, *instants[:1]]), max([at, *instants[1:]])]
    if problems:
        raise BadInput(problems)
    first, last = instants or (None, None)
    return _File(amounts, first, last)


def _values(
    row: Sequence[str], places: Mapping[str, int], columns: Mapping[str, str], line: int
) -> tuple[str, Decimal | None, datetime | None]:
    cells = {}
    for name, place in places.items():
        if place >= len(row):
            raise bad(columns[name], "is missing", line=line)
        cells[name] = row[place].strip()
    if not cells["id"]:
        raise bad(columns["id"], "is empty", line=line)
    amount = at = None
    if "amount" in cells:
        try:
            amount = Decimal(cells["amount"])
        except InvalidOperation as error:
            raise bad(columns["amount"], "is no number", line=line) from error
        if not amount.is_finite():
            raise bad(columns["amount"], "is no number", line=line)
    if "at" in cells:
        try:
            at = datetime.fromisoformat(cells["at"])
        except ValueError as error:
            raise bad(columns["at"], "is no instant", line=line) from error
        if at.tzinfo is None:
            raise bad(columns["at"], "has no offset from UTC", line=line)
    return cells["id"], amount, at


def as_csv(found: UsageMatch) -> bytes:
    """The matches as a file for people: those that differ first."""
    headings = ["state", "id", "ours", "theirs"]
    rows = [
        [one.state.value, one.id, _amount(one.ours), _amount(one.theirs)]
        for one in found.matches
    ]
    return FOR_PEOPLE.encoded(headings, [headings, *rows])


def _amount(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount.normalize():f}"


def answer_of(found: UsageMatch) -> Answer:
    """The matches as clients see them."""
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
            for one in found.matches
        ],
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
