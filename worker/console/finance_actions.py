"""What finance does in the console: closing a period."""

from datetime import datetime
from urllib.parse import quote, urlencode

from starlette.exceptions import HTTPException

from storage.finance.statements import stated_periods
from storage.finance.statements.stated_periods import StatedPeriod
from storage.licenses import licenses
from storage.operations.action_log import Acting
from worker.console.console_actions import Aim, ConsoleAction
from worker.console.forms import ActionForm
from worker.console.mount import PATH
from worker.console.page_table import FINANCE
from worker.console.visits import Visit
from worker.finance.period_names import starts_of
from worker.finance.statements import period_close
from worker.infrastructure.clock import instant
from worker.infrastructure.errors import BadInput


def statement_url(license_id: str, period: str | None) -> str:
    """Where a period's statement is shown."""
    path = f"{PATH}{FINANCE.path}/licenses/{quote(license_id, safe='')}/statement"
    return f"{path}?{urlencode({'period': period})}"


def _period(visit: Visit, target: str) -> Aim:
    license_id, _, named = target.rpartition("/")
    visit.check_sees(license_id)
    try:
        starts = starts_of(named)
    except BadInput as error:
        raise HTTPException(404, "there is no such period") from error
    with visit.deps.database.reading() as connection:
        found = stated_periods.starting(connection, license_id, *starts)
        now = licenses.business_now(connection)
    if found is None:
        raise HTTPException(404, "there is no such period")
    starts_at, ends_at = instant(found.starts_at), instant(found.ends_at)
    title = f"{license_id} from {starts_at} until {ends_at}"
    return Aim(
        f"{license_id}/{starts_at}",
        title,
        license_id,
        statement_url(license_id, starts_at),
        _state(found, now),
    )


_RUNS, _OVER, _CLOSED = "not over yet", "over", "closed already"


def _state(period: StatedPeriod, now: datetime) -> str:
    if period.closed_at is not None:
        return _CLOSED
    return _OVER if period.over_at <= now else _RUNS


def _close(visit: Visit, aim: Aim, by: Acting, _: ActionForm) -> None:
    license_id, _slash, starts_at = aim.id.rpartition("/")
    period_close.close(visit.deps, license_id, starts_at, by)


CLOSE_PERIOD = ConsoleAction(
    name="close-period",
    title="Close for good",
    effect="Its statement is frozen with the head of the license's chain, and it can "
    "never be reopened. Refunds that come later make numbered supplements.",
    find=_period,
    act=_close,
    of_finance=True,
    states=frozenset({_OVER}),
)

ACTIONS = (CLOSE_PERIOD,)
