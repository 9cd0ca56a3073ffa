"""That the statements of all periods add up, whatever a test has done to them."""

import json

from sqlalchemy import Connection, text

from storage.finance.statements import (
    ledger_lines,
    stated_periods,
    statement_runs,
)
from storage.finance.statements.ledger_lines import Range
from storage.finance.statements.lines import Accounts, Line, Statement
from storage.finance.statements.stated_periods import StatedPeriod
from worker.finance.statements.period_close import check_adds_up
from worker.finance.statements.statement_document import (
    document_of,
    encoded,
    statement_of,
)
from worker.finance.statements.statements import stated

_PERIODS = text("""
SELECT id, license_id, starts_at, ends_at, ended_at, closed_at, closed_in FROM periods
""")


def check_statements(connection: Connection) -> None:
    """Each period's lines add up, close with what its row counts, and can be kept.

    All of it is looked at in one transaction's snapshot.
    """
    for row in connection.execute(_PERIODS).mappings():
        period = StatedPeriod(**row)
        statement = _of_all(connection, period)
        check_adds_up(statement)
        counted = stated_periods.accounts_of(connection, period.id)
        assert statement.closing == counted, period
        again = json.loads(encoded(document_of(statement)))
        assert statement_of(again) == statement
        last = statement_runs.last(connection, period.id)
        if last is not None:
            # What the runs leave, and what has moved since, is all there is.
            rest = ledger_lines.lines_of(
                connection, stated(period), Range(last.until), last.closing
            )
            assert _statement(period, rest).closing == counted, period


def _of_all(connection: Connection, period: StatedPeriod) -> Statement:
    return _statement(
        period,
        ledger_lines.lines_of(connection, stated(period), Range(), Accounts()),
    )


def _statement(period: StatedPeriod, lines: tuple[Line, ...]) -> Statement:
    return Statement(
        license_id=period.license_id,
        starts_at=period.starts_at,
        ends_at=period.ends_at,
        run=1,
        lines=lines,
        previous=None,
        head=None,
        frozen_at=None,
    )
