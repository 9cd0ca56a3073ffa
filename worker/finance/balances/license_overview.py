"""A license's own overview: used and remaining, per user, exports and pushes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from storage.finance.balances import license_overview
from storage.finance.balances.license_overview import JobCredits, PeriodCredits, Used
from storage.ledger import usage
from storage.ledger.usage import Usage, UsageBy
from worker.finance.period_names import Starts, starts_of
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused
from worker.ledger import balances
from worker.licenses.licenses import open_license

KINDS = ("export", "push")
_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A period of a license as its own admin sees it."""

    license_id: str
    name: str
    credits: PeriodCredits
    by_user: list[Usage]
    by_kind: list[Used]


def of_license(deps: Deps, license_id: str, period: str | None = None) -> Overview:
    """The overview of a period, by default the running one, from one snapshot.

    Raises `Refused` where there is no such license or period.
    """
    starts, name = (
        _starts(deps, license_id, period),
        open_license(deps, license_id).name,
    )
    with deps.database.transaction() as connection:
        license_overview.one_snapshot(connection)
        found = _period(connection, license_id, starts)
        return Overview(
            license_id=license_id,
            name=name,
            credits=found,
            by_user=usage.of_period(connection, license_id, found.id, UsageBy.USER),
            by_kind=license_overview.by_kind(connection, license_id, found.id),
        )


def jobs(
    deps: Deps,
    license_id: str,
    kind: str,
    *,
    period: str | None = None,
    before: str | None = None,
    limit: int,
) -> Sequence[JobCredits]:
    """The jobs of a kind in a period, the newest first, or those before one of them."""
    starts = _starts(deps, license_id, period)
    with deps.database.transaction() as connection:
        found = _period(connection, license_id, starts)
        return license_overview.jobs(
            connection, license_id, found, kind, before=before, limit=limit
        )


def every_job(
    deps: Deps, license_id: str, kind: str, *, period: str | None = None
) -> Iterator[Sequence[JobCredits]]:
    """All of them, page by page."""
    before: str | None = None
    while True:
        page = jobs(deps, license_id, kind, period=period, before=before, limit=_PAGE)
        yield page
        if len(page) < _PAGE:
            return
        before = page[-1].id


def _starts(deps: Deps, license_id: str, period: str | None) -> Starts:
    if period is not None:
        open_license(deps, license_id)
        return starts_of(period)
    at = balances.balance_of(deps, license_id).starts_at
    return Starts(at, at + timedelta(microseconds=1))


def _period(connection: Connection, license_id: str, starts: Starts) -> PeriodCredits:
    found = license_overview.period(
        connection, license_id, since=starts.since, before=starts.before
    )
    if found is None:
        raise Refused(Code.NOT_FOUND, "there is no such period")
    return found
