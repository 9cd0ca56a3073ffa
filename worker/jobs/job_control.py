"""What people ask of a job: cancel, pause, resume, give up.

The same verb again changes nothing. A verb that does not fit the job's state is
refused with `wrong_state`.
"""

from collections.abc import Callable

from sqlalchemy import Connection

from storage.jobs import given_up_jobs, job_control, jobs
from storage.jobs.job_control import SteerResult
from worker.infrastructure.errors import Code, Refused
from worker.jobs.delivery import JobDeps


def cancel(deps: JobDeps, job_id: str) -> None:
    """Stop a job: what was delivered stays charged, the rest is released."""
    _steer(deps, job_id, job_control.cancel)
    with deps.database.transaction() as connection:
        job_control.stop_idle_chunks(
            connection, job_id, doubt_s=deps.settings.push_doubt_s
        )


def pause(deps: JobDeps, job_id: str) -> None:
    """Let a job rest; it keeps its reservation, until that passes its deadline."""
    _steer(deps, job_id, job_control.pause)
    with deps.database.transaction() as connection:
        job_control.come_to_rest(connection, job_id)


def resume(deps: JobDeps, job_id: str) -> None:
    """Let a paused job go on."""
    _steer(deps, job_id, job_control.resume)


def give_up(deps: JobDeps, job_id: str) -> None:
    """End a job whose file cannot be sealed, and give back all that it cost."""
    _steer(deps, job_id, given_up_jobs.give_up)


def _steer(
    deps: JobDeps, job_id: str, verb: Callable[[Connection, str], SteerResult]
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
