"""Pushes in tests: connections, jobs run in this process, and what they came to."""

import io
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import text

from pricing.findings import EmailLevel
from pricing.plans import Item
from storage.jobs import dispatch_queue, outcomes
from storage.jobs.job_reports import JobReport
from storage.jobs.outcomes import OutcomeRow
from storage.quotes.quotes import Request
from storage.state_machine import JobState
from tests.support import job_runs
from worker.connections import connections
from worker.infrastructure.clock import wait
from worker.jobs import chunk_runner, submission
from worker.jobs.sweeper import sweep
from worker.pushes.push_delivery import PushDelivery
from worker.quotes.readers import inline_records
from worker.quotes.readers.formats import CSV
from worker.quotes.readers.reader import Reading
from worker.wiring import Wired

_ROUNDS_MAX = 2_000
_LOOK_AGAIN_S = 0.02


def connect(
    deps: Wired,
    connector: str,
    settings: dict[str, Any],
    secrets: dict[str, str],
    *,
    license_id: str = "acme",
) -> str:
    """A connection of a license; its id."""
    made = connections.create(
        deps, license_id, connector, "Ours", settings=settings, secrets=secrets
    )
    return made.id


def contact(
    company: str, person: str | None = None, **fields: str
) -> dict[str, dict[str, str] | None]:
    """A record in a request's body; fields of a company begin with `company_`."""
    of_company = {
        name.removeprefix("company_"): value
        for name, value in fields.items()
        if name.startswith("company_")
    }
    names = {"name": f"Company {company}"} | of_company
    of_person = {
        name: value for name, value in fields.items() if not name.startswith("company_")
    }
    return {
        "company": {"id": company, **names},
        "person": None
        if person is None
        else {"id": person, "first_name": "P", "last_name": person, **of_person},
    }


def request_of(
    connection_id: str,
    *,
    retrieve: tuple[Item, ...] = (),
    license_id: str = "acme",
    **push: Any,
) -> Request:
    """What is asked of a push."""
    return Request(
        kind="push",
        license_id=license_id,
        user_id="user-1",
        retrieve=retrieve,
        email_level=EmailLevel.VERIFIED,
        only_with=None,
        export=None,
        push={"connection": connection_id, **push},
    )


def reading_of(records: Sequence[dict[str, Any]] | Path) -> Reading:
    """Records as they come in."""
    if isinstance(records, Path):
        return CSV.read(io.BytesIO(records.read_bytes()))
    return inline_records.read(list(records))


def submit(
    deps: Wired,
    connection_id: str,
    records: Sequence[dict[str, Any]] | Path,
    **how: Any,
) -> str:
    """A job that is queued; its id."""
    return submission.submit_at_once(
        deps, request_of(connection_id, **how), reading_of(records)
    )


def push(
    deps: Wired,
    connection_id: str,
    records: Sequence[dict[str, Any]] | Path,
    **how: Any,
) -> JobReport:
    """Push to the job's end."""
    return run(deps, submit(deps, connection_id, records, **how))


def run(deps: Wired, job_id: str) -> JobReport:
    """Run what the dispatcher would hand out of a job, until it rests or has ended."""
    for _ in range(_ROUNDS_MAX):
        if not run_once(deps, job_id):
            job_runs.complete(deps)
            report = job_runs.report(deps, job_id)
            if report.finished_at or report.state == JobState.PAUSED:
                return report
            # Its chunks wait for a delay to pass.
            wait(Event(), _LOOK_AGAIN_S)
    raise AssertionError(f"{job_id} does not come to rest: {report}")


def run_once(deps: Wired, job_id: str) -> int:
    """Run what the dispatcher would hand out now of a job; how many chunks."""
    with deps.database.transaction() as connection:
        waiting = [
            one.chunk_id
            for one in dispatch_queue.waiting(connection, window=100)
            if one.job_id == job_id
        ]
    for chunk_id in waiting:
        chunk_runner.run_chunk(deps, chunk_id)
    return len(waiting)


class Killed(BaseException):
    """A worker that is gone, as far as its chunk can tell."""


def die_after_sending(
    deps: Wired, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run a job until its first batch is in the CRM, and nobody has written it down."""
    deliver = PushDelivery.deliver

    def dying(self: PushDelivery, *given: Any) -> None:
        deliver(self, *given)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(PushDelivery, "deliver", dying)
        with pytest.raises(Killed):
            run_once(deps, job_id)


def let_go(deps: Wired, job_id: str) -> None:
    """Let a dead worker's lease lapse, and the sweeper find its chunk."""
    with deps.database.transaction() as connection:
        connection.execute(
            text("""
                UPDATE chunks SET lease_until = clock_timestamp()
                 WHERE job_id = :job_id AND state = 'running'"""),
            {"job_id": job_id},
        )
    sweep(deps)


def outcomes_of(deps: Wired, job_id: str) -> list[OutcomeRow]:
    """What became of each record."""
    with deps.database.transaction() as connection:
        return outcomes.of_job(connection, job_id, after=0, limit=10_000)


def counts(report: JobReport) -> dict[str, int]:
    """How the records of a job ended, as far as any did."""
    names = ("created", "updated", "unchanged", "excluded", "rejected", "unreached")
    return {name: getattr(report, name) for name in names if getattr(report, name)}
