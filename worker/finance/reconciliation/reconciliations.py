"""Reconciliations as people ask for them: one is queued, run at once, or looked at."""

from threading import Event

from storage.finance.reconciliation import runs
from storage.finance.reconciliation.runs import FindingKind, Run, Shown
from storage.licenses import licenses
from storage.licenses.idempotency_keys import Once
from worker.finance.reconciliation.reconciler import Reconciler, wanted_of
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused

_REASONS_MAX = 1_000


def put(
    deps: Deps, period: str, license_id: str | None, *, once: Once | None = None
) -> Run:
    """Queue one. Raises `BadInput`, and `Refused` where there is no such license."""
    wanted_of(period, license_id)
    with deps.database.transaction() as connection:
        if license_id is not None and licenses.get(connection, license_id) is None:
            raise Refused(Code.NOT_FOUND, f"there is no license {license_id}")
        run_id = runs.put(connection, period, license_id)
        if once is not None:
            once(connection, str(run_id))
        return _of(runs.get(connection, run_id), run_id)


def run_now(deps: Deps, period: str, license_id: str | None) -> Run:
    """Queue a reconciliation and work it off here; as it ended.

    Raises what `put` does, and `Refused` where another is run: it stays queued then.
    """
    queued = put(deps, period, license_id)
    ended = Reconciler(deps).run(queued.id)
    if ended is None:
        message = f"another reconciliation runs; {queued.id} is queued behind it"
        raise Refused(Code.WRONG_STATE, message)
    return ended


def run_waiting(deps: Deps, stop: Event) -> None:
    """Work off all that waits, one behind the other."""
    while not stop.is_set() and Reconciler(deps, stop).run() is not None:
        pass


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
