"""Ended periods: taken up again where a wrong clock has ended them."""

from datetime import datetime, timedelta

from storage.ledger import periods
from storage.ledger.periods import PeriodRow, ReopenResult
from storage.licenses import licenses
from worker.infrastructure.clock import instant
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused

_REFUSED = {
    ReopenResult.NOT_FOUND: (Code.NOT_FOUND, "there is no such period"),
    ReopenResult.IS_OVER: (Code.WRONG_STATE, "the period is over: it ended rightly"),
    ReopenResult.IS_CLOSED: (
        Code.WRONG_STATE,
        "the period is closed for good: its statement is frozen",
    ),
    ReopenResult.NEXT_WAS_USED: (
        Code.WRONG_STATE,
        "a later period has ended, or has reserved or spent credits: top up instead",
    ),
}


def reopen(deps: Deps, license_id: str, starts_at: datetime) -> PeriodRow:
    """Let the period that starts then run again; one that runs is left as it is.

    Raises `Refused` where there is none, where it is over, and where a later one has
    been used.
    """
    resolution = timedelta(microseconds=1)
    with deps.database.transaction() as connection:
        if licenses.get(connection, license_id) is None:
            raise Refused(Code.NOT_FOUND, f"there is no license {license_id}")
        result = periods.reopen(connection, license_id, starts_at)
        if result in _REFUSED:
            code, why = _REFUSED[result]
            raise Refused(code, f"{license_id} from {instant(starts_at)}: {why}")
        (row,) = periods.of_license(
            connection, license_id, before=starts_at + resolution, limit=1
        )
    return row
