"""Draining a worker: a row says so, and the worker reads it with its next report.

It ends its batches, gives its chunks back, and takes nothing more until it is asked to
go on, or is started anew.
"""

from collections.abc import Callable

from sqlalchemy import Connection

from storage.operations import action_log, processes
from storage.operations.action_log import Acting, Target
from storage.operations.processes import Process
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused
from worker.infrastructure.settings import MISSED_REPORTS


def every(deps: Deps) -> list[Process]:
    """All processes that were heard of within the hour, with what they have in hand."""
    with deps.database.transaction() as connection:
        return processes.processes(connection, silent_s=_silent_s(deps))


def drain(deps: Deps, process_id: str, by: Acting | None = None) -> Process:
    """Let a worker take nothing more. Raises `Refused` for what is no worker."""
    return _ask(deps, process_id, "drain", processes.ask_to_drain, by)


def undrain(deps: Deps, process_id: str, by: Acting | None = None) -> Process:
    """Let a worker take chunks again. Raises `Refused` for what is no worker."""
    return _ask(deps, process_id, "undrain", processes.ask_to_go_on, by)


def _ask(
    deps: Deps,
    process_id: str,
    verb: str,
    ask: Callable[[Connection, str], bool],
    by: Acting | None,
) -> Process:
    with deps.database.transaction() as connection:
        moved = ask(connection, process_id)
        found = processes.process(connection, process_id, silent_s=_silent_s(deps))
        if found is None:
            raise Refused(Code.NOT_FOUND, f"there is no process {process_id}")
        if found.role != "worker":
            detail = f"{process_id} is a {found.role}: it takes no chunks"
            raise Refused(Code.WRONG_STATE, detail)
        if moved and by is not None:
            action_log.note(connection, by, verb, Target("process", process_id))
    return found


def _silent_s(deps: Deps) -> float:
    return deps.settings.report_interval_s * MISSED_REPORTS
