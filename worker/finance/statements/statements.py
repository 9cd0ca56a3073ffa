"""The statement of a period: what runs is read anew, what is frozen is as it was."""

import json
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.finance.statements import (
    ledger_lines,
    sealed_bounds,
    stated_periods,
    statement_runs,
)
from storage.finance.statements.ledger_lines import Range, Stated
from storage.finance.statements.lines import Accounts, Previous, Statement
from storage.finance.statements.stated_periods import StatedPeriod
from storage.ledger import balances
from worker.finance.period_names import Starts, starts_of
from worker.finance.statements.statement_document import (
    document_of,
    encoded,
    statement_of,
)
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused
from worker.licenses.licenses import open_license


class ShownStatement(NamedTuple):
    """A statement with its document, as it is answered."""

    statement: Statement
    document: str


def show(
    deps: Deps, license_id: str, period: str | None = None, run: int | None = None
) -> ShownStatement:
    """A license's statement of a period: the running one, unless it is named.

    Of a closed period it is the first run, which is frozen, unless one is asked for;
    the one after the last frozen is what has moved since. Raises `BadInput`, and
    `Refused` where there is no such license, period or run.
    """
    open_license(deps, license_id)
    starts = None if period is None else starts_of(period)
    with deps.database.transaction() as connection:
        connection.execute(
            text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        )
        found = _period(connection, license_id, starts)
        if found is None:
            raise Refused(Code.NOT_FOUND, "there is no such period")
        return _shown(connection, found, run or 1)


def _period(
    connection: Connection, license_id: str, starts: Starts | None
) -> StatedPeriod | None:
    if starts is not None:
        return stated_periods.starting(connection, license_id, *starts)
    running = balances.balance(connection, license_id)
    if running is None:
        return None
    at = running.starts_at
    return stated_periods.at(connection, license_id, at)


def _shown(connection: Connection, period: StatedPeriod, run: int) -> ShownStatement:
    frozen = statement_runs.run(connection, period.id, run)
    if frozen is not None:
        return ShownStatement(
            statement_of(json.loads(frozen.document)), frozen.document
        )
    last = statement_runs.last(connection, period.id)
    if run != (last.run if last else 0) + 1:
        raise Refused(Code.NOT_FOUND, f"there is no run {run} of this statement")
    since, opening = (last.until, last.closing) if last else (0, Accounts())
    live = Statement(
        license_id=period.license_id,
        starts_at=period.starts_at,
        ends_at=period.ends_at,
        run=run,
        lines=ledger_lines.lines_of(connection, stated(period), Range(since), opening),
        previous=previous_of(connection, period),
        head=sealed_bounds.head(connection, period.license_id),
        frozen_at=None,
    )
    return ShownStatement(live, encoded(document_of(live)))


def stated(period: StatedPeriod) -> Stated:
    """A period as its lines are asked for."""
    return Stated(
        license_id=period.license_id,
        period_id=period.id,
        starts_at=period.starts_at,
        ends_at=period.ends_at,
        over_at=period.over_at,
    )


def previous_of(connection: Connection, period: StatedPeriod) -> Previous | None:
    """The period before, as its last frozen run leaves it; else as it stands."""
    before = stated_periods.before(connection, period)
    if before is None:
        return None
    last = statement_runs.last(connection, before.id)
    return Previous(
        starts_at=before.starts_at,
        closing=last.closing
        if last
        else stated_periods.accounts_of(connection, before.id),
        run=last.run if last else None,
        head=last.head if last else None,
    )
