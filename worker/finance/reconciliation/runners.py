"""Runners: whoever works reconciliations off, one of their own or all that wait."""

from threading import Event

from storage.finance.reconciliation.runs import Run
from worker.finance.reconciliation.reconciler import Reconciler
from worker.finance.reconciliation.reconciliations import put
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused


def run_now(deps: Deps, period: str, license_id: str | None) -> Run:
    """Queue a reconciliation and work it off here; as it ended.

    Raises what `put` does, and `Refused` where another is run, or files cannot be
    reached: then it waits for whoever works off all that does.
    """
    queued = put(deps, period, license_id)
    ended = Reconciler(deps).run(queued.id)
    if ended is None:
        message = f"another reconciliation runs; {queued.id} is queued behind it"
        raise Refused(Code.WRONG_STATE, message)
    if ended.finished_at is None:
        message = f"reconciliation {ended.id} {ended.error}; it goes on by itself"
        raise Refused(Code.UNAVAILABLE, message)
    return ended


def run_waiting(deps: Deps, stop: Event) -> None:
    """Work off all that waits, one behind the other."""
    while not stop.is_set() and Reconciler(deps, stop).run() is not None:
        pass
