"""What people ask of a job: cancel, pause, resume, give up, retry.

The same verb again changes nothing. A verb that does not fit the job's state is
refused with `wrong_state`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from storage.jobs import given_up_jobs, job_control, jobs, outcomes
from storage.jobs.job_control import SteerResult
from storage.quotes import quotes
from storage.state_machine import ENDED, JobState
from worker import producer
from worker.errors import Code, Refused, bad
from worker.inputs import parse
from worker.readers import Reading
from worker.records import Record
from worker.wiring import Deps


def cancel(deps: Deps, job_id: str) -> None:
    """Stop a job: what was delivered stays charged, the rest is released."""
    _steer(deps, job_id, job_control.cancel)
    with deps.database.transaction() as connection:
        job_control.stop_idle_chunks(
            connection, job_id, doubt_s=deps.settings.push_doubt_s
        )


def pause(deps: Deps, job_id: str) -> None:
    """Let a job rest; it keeps its reservation, until that passes its deadline."""
    _steer(deps, job_id, job_control.pause)
    with deps.database.transaction() as connection:
        job_control.come_to_rest(connection, job_id)


def resume(deps: Deps, job_id: str) -> None:
    """Let a paused job go on."""
    _steer(deps, job_id, job_control.resume)


def give_up(deps: Deps, job_id: str) -> None:
    """End a job whose file cannot be sealed, and give back all that it cost."""
    _steer(deps, job_id, given_up_jobs.give_up)


def _steer(
    deps: Deps, job_id: str, verb: Callable[[Connection, str], SteerResult]
) -> None:
    with deps.database.transaction() as connection:
        result = verb(connection, job_id)
        state = jobs.state_of(connection, job_id)
    match result:
        case SteerResult.NOT_FOUND:
            raise Refused(Code.NOT_FOUND, f"there is no job {job_id}")
        case SteerResult.WRONG_STATE:
            raise Refused(Code.WRONG_STATE, f"{job_id} is {state}")
        case SteerResult.DONE | SteerResult.ALREADY:
            pass


_RETRIED = ENDED - {JobState.SUCCEEDED}


def retry(
    deps: Deps,
    job_id: str,
    *,
    max_credits: int | None = None,
    mapping: Mapping[str, Any] | None = None,
) -> str:
    """Try the rejected and unreached records of an ended job again, as a new job.

    A push may be given another `mapping`, in the place of the one that it had.
    They are quoted anew, and keep their numbers. A job is retried once: the same
    again answers the job that the first made.
    """
    with deps.database.transaction() as connection:
        made = jobs.retried_by(connection, job_id)
        state = jobs.state_of(connection, job_id)
        stored = quotes.of_job(connection, job_id)
        settled = outcomes.settled_records(connection, job_id)
    if made is not None:
        return made
    if stored is None:
        raise Refused(Code.NOT_FOUND, f"there is no job {job_id}")
    if state not in _RETRIED or len(settled) == stored.quote.records:
        raise Refused(
            Code.WRONG_STATE, f"{job_id} is {state}: nothing is to be retried"
        )
    if stored.input.name is None:
        detail = f"the records of {job_id} have been removed: send them again"
        raise Refused(Code.WRONG_STATE, detail)
    left = _left(deps, stored.input.name, settled)
    reading = Reading(stored.input.columns, left, duplicates=0)
    request = _remapped(stored.request, mapping)
    try:
        return producer.submit_at_once(
            deps, request, reading, max_credits=max_credits, retry_of=job_id
        )
    except jobs.AlreadyRetried:
        return retry(deps, job_id)


def _remapped(
    request: quotes.Request, mapping: Mapping[str, Any] | None
) -> quotes.Request:
    if mapping is None:
        return request
    if request.push is None:
        raise bad("push", "an export has no mapping")
    return replace(request, push=request.push | {"mapping": dict(mapping)})


def _left(deps: Deps, name: str, settled: set[int]) -> Iterator[Record]:
    """The records of a job's input that have not been delivered or excluded."""
    with deps.artifacts.open(name) as stream:
        for line in stream:
            for record, _ in parse([line]):
                if record.number not in settled:
                    yield record
