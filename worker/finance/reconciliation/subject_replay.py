"""The lines of one subject, replayed in time: what each had to cost, and why. Pure.

The ledger's rule, by another way than its statement: nothing is kept from one line to
the next but the lines themselves. A line that cost credits stands on itself, a free one
on the charge that it names, until that is refunded. A claim is free where the latest
line of a job that stands lies in its window, or, where views count, the latest view.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from pricing.plans import TABLES
from storage.finance.reconciliation.subject_lines import Line

CLOSE = timedelta(seconds=60)
"""Longer than a statement waits for a lock: what lies so close may have come first."""

_VIEW_PRICES = {
    prices.view for table in TABLES.values() for prices in table.values() if prices.view
}


class Mismatch(NamedTuple):
    """A line that had to be another: what was expected of it, and what it says."""

    line: Line
    expected: str
    found: str


class _Due(NamedTuple):
    """What a line has to say: its rule, and the charge that it is free on."""

    rule: str
    paid_by: int | None
    because: str | None = None


def mismatches(
    lines: Iterable[Line], *, close: timedelta = CLOSE
) -> Iterator[Mismatch]:
    """The asked lines that are not what those before them make of them.

    Lines come by item and subject, and by time within one. What lies as `close` as that
    may have come in another order than its times.
    """
    for _, some in groupby(lines, key=lambda line: (line.item, line.subject)):
        group = list(some)
        if len(group) == 1 and group[0].rule == "price" and group[0].paid_by is None:
            if group[0].is_view and group[0].is_asked:
                yield from _wrong_price(group[0])
            continue
        for place, line in enumerate(group):
            if line.is_asked:
                yield from _of_line(group, place, close)


def _of_line(group: Sequence[Line], place: int, close: timedelta) -> Iterator[Mismatch]:
    line = group[place]
    if line.rule == "unchanged":
        return
    if line.cut is None:
        yield Mismatch(line, "a window", "a quote without one")
        return
    says = _Due(line.rule, line.paid_by, line.free_because)
    allowed = _allowed(group, place, close)
    if not any(_agree(line, due, says) for due in allowed):
        yield Mismatch(line, _words(allowed[0]), _words(says))
    if line.is_view and line.rule == "price":
        yield from _wrong_price(line)


def _wrong_price(line: Line) -> Iterator[Mismatch]:
    if line.credits not in _VIEW_PRICES:
        prices = " or ".join(map(str, sorted(_VIEW_PRICES)))
        yield Mismatch(line, f"{prices} credits", f"{line.credits} credits")


def _agree(line: Line, due: _Due, says: _Due) -> bool:
    # What was free before that was noted does not say why.
    if line.is_view and says.because is not None and due.because != says.because:
        return False
    return (due.rule, due.paid_by) == (says.rule, says.paid_by)


def _words(due: _Due) -> str:
    payer = "" if due.paid_by is None else f" by charge {due.paid_by}"
    because = "" if due.because is None else f" ({due.because})"
    return f"{due.rule}{payer}{because}"


def _allowed(group: Sequence[Line], place: int, close: timedelta) -> list[_Due]:
    """What the lines before allow a line to be: one, but where two came at once.

    A refund, or a line that stands on nothing, may have waited for a lock: which of two
    came first is then not told by their times.
    """
    line = group[place]
    found = [_due(group, place, line.at)]
    is_close = any(
        one.refunded_at is not None and abs(one.refunded_at - line.at) <= close
        for one in group[:place]
    )
    if is_close:
        found.append(_due(group, place, line.at - close))
        found.append(_due(group, place, line.at + close))
    if line.rule == "free_as_quoted" and line.paid_by is None:
        found.append(_due(group, place, line.at, before=line.at - close))
    return found


def _due(
    group: Sequence[Line],
    place: int,
    known_at: datetime,
    *,
    before: datetime | None = None,
) -> _Due:
    """What a line has to be, with the refunds that were there at an instant."""
    line = group[place]
    digests = (
        [line.digest] if line.also_digest is None else [line.digest, line.also_digest]
    )
    for digest in digests:
        exported = _latest(group, place, digest, known_at, before, views=False)
        if exported is not None and exported.at >= _cut(line):
            return _free(line, exported, "exported")
        if line.views_count and line.item == "company":
            viewed = _latest(group, place, digest, known_at, before, views=True)
            if viewed is not None and viewed.at >= _cut(line):
                return _free(line, viewed, "viewed")
    # What the quote said is free stays so, and then stands on nothing. A view has none.
    is_free = line.rule == "free_as_quoted" and not line.is_view
    return _Due("free_as_quoted" if is_free else "price", None)


def _cut(line: Line) -> datetime:
    assert line.cut is not None  # noqa: S101 - asked for before
    return line.cut


def _free(line: Line, on: Line, because: str) -> _Due:
    payer = on.paid_by or on.id
    if line.is_view:
        return _Due("paid_meanwhile", payer, because)
    rule = "free_as_quoted" if line.rule == "free_as_quoted" else "paid_meanwhile"
    return _Due(rule, payer)


def _latest(
    group: Sequence[Line],
    place: int,
    digest: str,
    known_at: datetime,
    before: datetime | None,
    *,
    views: bool,
) -> Line | None:
    """The latest line before a place that stands, of jobs or of views."""
    for one in reversed(group[:place]):
        if one.is_view is not views or (before is not None and one.at > before):
            continue
        if digest not in (one.digest, one.also_digest):
            continue
        stands = one.credits > 0 or one.paid_by is not None
        if stands and (one.refunded_at is None or one.refunded_at > known_at):
            return one
    return None
