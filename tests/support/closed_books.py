"""Closing the books: every period that has ended, held against all that can be held."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import text

from storage.finance.chain import verdicts
from storage.operations.action_log import Acting, Actor
from tests.support.bookkeeping import (
    beancount_errors,
    hledger_balances,
    hledger_errors,
)
from worker.finance.chain import verifier
from worker.finance.reconciliation import reconciliations, runners
from worker.finance.statements import period_close
from worker.finance.warehouse import bulk_export
from worker.finance.warehouse.bulk_export import JournalFormat
from worker.infrastructure.dependencies import Deps

_BY = Acting(Actor("finance of a test", "here"), "the month is over")
_DIFFERENCES = 20


class Ended(NamedTuple):
    """A period that is over."""

    license_id: str
    starts_at: str
    month: str


def ended(deps: Deps) -> list[Ended]:
    """All periods that are over, by license and time."""
    with deps.database.transaction() as connection:
        rows = connection.execute(
            text("""
                SELECT license_id,
                       to_char(starts_at AT TIME ZONE 'UTC',
                               'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                       to_char(starts_at AT TIME ZONE 'UTC', 'YYYY-MM')
                  FROM periods WHERE ended_at IS NOT NULL
                 ORDER BY license_id, starts_at""")
        )
        return [Ended(*row) for row in rows]


def close_all(deps: Deps) -> None:
    """Close what has ended: each statement adds up, and each account of it."""
    for period in ended(deps):
        document = period_close.close(deps, period.license_id, period.starts_at, _BY)
        shown = json.loads(document)
        moved = dict.fromkeys(shown["closing"], 0)
        for movement in shown["movements"]:
            for account in moved:
                moved[account] += movement[account]
        assert shown["closing"] == {
            account: shown["opening"][account] + credits_
            for account, credits_ in moved.items()
        }
        assert shown["closing"]["available"] == shown["closing"]["reserved"] == 0
        assert shown["head"]


def reconcile_all(deps: Deps) -> None:
    """No charge costs anything but what it must, in any period."""
    for name in ["open", *sorted({period.month for period in ended(deps)})]:
        run = runners.run_now(deps, name, None)
        shown = reconciliations.show(deps, run.id, limit=_DIFFERENCES)
        assert shown.differences == [], name
        assert run.error is None
        assert run.charges == run.recomputed, (name, shown.reasons)


def verify_chain(deps: Deps) -> None:
    """The chain holds, and knows all that was sealed."""
    found = verifier.verify(deps)
    assert [str(each) for each in found.breaks] == []
    assert found.rows > 0
    with deps.database.transaction() as connection:
        verdict = verdicts.last(connection)
    assert verdict is not None
    assert verdict.breaks == 0


def _journals(deps: Deps, format_: JournalFormat, folder: Path) -> Iterator[Path]:
    for month in sorted({period.month for period in ended(deps)}):
        scope = bulk_export.scope_of(month, None)
        file = bulk_export.transfers_journal(deps, format_, scope)
        path = folder / f"{month}-{file.name}"
        path.write_bytes(b"".join(file.pieces))
        yield path


def keep_books_elsewhere(deps: Deps, folder: Path) -> None:
    """Programs that keep books accept the transfers, and come to the same balances."""
    for path in _journals(deps, JournalFormat.BEANCOUNT, folder):
        assert beancount_errors(path) == ""
    outside = 0
    for path in _journals(deps, JournalFormat.HLEDGER, folder):
        assert hledger_errors(path) == ""
        outside -= sum(
            credits_
            for account, credits_ in hledger_balances(path).items()
            if account.startswith("Equity:")
        )
    with deps.database.transaction() as connection:
        granted = connection.execute(
            text("SELECT sum(granted) FROM periods WHERE ended_at IS NOT NULL")
        ).scalar_one()
    assert outside >= granted > 0
