"""Reconciliations as people ask for them: one is queued, or looked at."""

from storage.finance.reconciliation import period_rows, runs
from storage.finance.reconciliation.period_rows import Wanted
from storage.finance.reconciliation.runs import FindingKind, Run, Shown
from storage.licenses import licenses
from storage.licenses.idempotency_keys import Once
from worker.finance.period_names import starts_of
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused

_REASONS_MAX = 1_000


def wanted_of(period: str, license_id: str | None) -> Wanted:
    """Which periods a name means. Raises `BadInput`."""
    if period == runs.OPEN:
        return Wanted(None, None, license_id)
    starts = starts_of(period)
    return Wanted(starts.since, starts.before, license_id)


def put(
    deps: Deps, period: str, license_id: str | None, *, once: Once | None = None
) -> Run:
    """Queue one.

    Raises `BadInput`, and `Refused` where there is no such license or no such period:
    nothing would be compared, and so nothing would differ.
    """
    wanted = wanted_of(period, license_id)
    with deps.database.transaction() as connection:
        if license_id is not None and licenses.get(connection, license_id) is None:
            raise Refused(Code.NOT_FOUND, f"there is no license {license_id}")
        is_named = period != runs.OPEN
        if is_named and period_rows.following(connection, wanted, 0) is None:
            raise Refused(Code.NOT_FOUND, f"no period starts then: {period}")
        run_id = runs.put(connection, period, license_id)
        if once is not None:
            once(connection, str(run_id))
        return _of(runs.get(connection, run_id), run_id)


def show(deps: Deps, run_id: int, *, after: int = 0, limit: int) -> Shown:
    """A reconciliation, with its differences behind one. Raises `Refused`."""
    with deps.database.transaction() as connection:
        run = _of(runs.get(connection, run_id), run_id)
        return Shown(
            run,
            runs.findings(
                connection, run_id, FindingKind.DIFFERENCE, after=after, limit=limit
            ),
            runs.findings(
                connection, run_id, FindingKind.NOT_RECOMPUTABLE, limit=_REASONS_MAX
            ),
        )


def _of(run: Run | None, run_id: int) -> Run:
    if run is None:
        raise Refused(Code.NOT_FOUND, f"there is no reconciliation {run_id}")
    return run
