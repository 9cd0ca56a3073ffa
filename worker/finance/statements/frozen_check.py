"""Frozen runs held against the ledger: each is read anew, line by line."""

import json
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from storage.finance.statements import (
    ledger_lines,
    sealed_bounds,
    stated_periods,
    statement_runs,
)
from storage.finance.statements.ledger_lines import Range
from storage.finance.statements.lines import Accounts, Line
from storage.finance.statements.stated_periods import StatedPeriod
from storage.finance.statements.statement_runs import FrozenRun
from worker.finance.statements.statement_document import encoded, statement_of
from worker.finance.statements.statement_table import cells
from worker.finance.statements.statements import stated
from worker.infrastructure.clock import instant
from worker.infrastructure.dependencies import Deps
from worker.licenses.licenses import open_license

_PAGE = 100


class FrozenDifference(NamedTuple):
    """Where a frozen run is not what the ledger says."""

    period: str | None
    run: int
    what: str


def check(deps: Deps, license_id: str) -> tuple[int, list[FrozenDifference]]:
    """How many frozen runs a license has, and what is wrong with them.

    Raises `Refused` where there is no such license.
    """
    open_license(deps, license_id)
    checked = 0
    found: list[FrozenDifference] = []
    before: tuple[datetime, int] | None = None
    while True:
        with deps.database.transaction(patient=True) as connection:
            page = statement_runs.of_license(
                connection, license_id, before=before, limit=_PAGE
            )
            for row in page:
                at = instant(row.starts_at)
                wrong = _differences(connection, license_id, row.starts_at, row.run)
                found += [FrozenDifference(at, row.run, what) for what in wrong]
        if not page:
            return checked, found
        checked += len(page)
        before = (page[-1].starts_at, page[-1].run)


def _differences(
    connection: Connection, license_id: str, starts_at: datetime, run: int
) -> list[str]:
    period = stated_periods.at(connection, license_id, starts_at)
    assert period is not None  # noqa: S101 - a foreign key holds it
    frozen = statement_runs.run(connection, period.id, run)
    assert frozen is not None  # noqa: S101 - it was just listed
    try:
        kept = statement_of(json.loads(frozen.document))
        spelled = encoded(json.loads(frozen.document))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ["its document cannot be read"]
    found = []
    if spelled != frozen.document or (kept.license_id, kept.starts_at, kept.run) != (
        license_id,
        starts_at,
        run,
    ):
        found.append("its document is of something else, or spelled in another way")
    if kept.closing != frozen.closing:
        found.append(f"it leaves {frozen.closing}, its document {kept.closing}")
    if kept.head != frozen.head or frozen.head != _head(connection, frozen):
        found.append("its head is not the chain's")
    now = {cells(line) for line in _lines(connection, period, frozen)}
    then = {cells(line) for line in kept.lines}
    found += [f"{' '.join(filter(None, line))}: not so" for line in sorted(then - now)]
    found += [f"{' '.join(filter(None, line))}: missing" for line in sorted(now - then)]
    return found


def _lines(
    connection: Connection, period: StatedPeriod, frozen: FrozenRun
) -> tuple[Line, ...]:
    before = statement_runs.run(connection, period.id, frozen.run - 1)
    opening = before.closing if before else Accounts()
    return ledger_lines.lines_of(
        connection, stated(period), Range(frozen.since, frozen.until), opening
    )


def _head(connection: Connection, frozen: FrozenRun) -> str | None:
    try:
        return sealed_bounds.head(connection, frozen.license_id, frozen.until)
    except LookupError:
        return "of no run"
