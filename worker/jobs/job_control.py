"""What people ask of a job: cancel, pause, resume, give up.

The same verb again changes nothing. A verb that does not fit the job's state is
refused with `wrong_state`. Who asks, and why, is noted in the transaction that moves
the job.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from sqlalchemy import Connection

from storage.jobs import given_up_jobs, job_control, jobs
from storage.jobs.job_control import SteerResult
from storage.operations import action_log
from storage.operations.action_log import Acting, Target
from storage.refunds.credit_notes import HOUSE
from worker.infrastructure.errors import Code, Refused
from worker.jobs.delivery import JobDeps
from worker.refunds.credit_notes import author_of
from worker.refunds.refusals import NEEDS_A_PERSON


def cancel(deps: JobDeps, job_id: str, by: Acting | None = None) -> bool:
    """Stop a job: what was delivered stays charged, the rest is released.

    Whether it was this call that changed something; so with each verb.
    """
    moved = _steer(deps, job_id, "cancel", job_control.cancel, by)
    with deps.database.transaction() as connection:
        job_control.stop_idle_chunks(
            connection, job_id, doubt_s=deps.settings.push_doubt_s
        )
    return moved


def pause(deps: JobDeps, job_id: str, by: Acting | None = None) -> bool:
    """Let a job rest; it keeps its reservation, until that passes its deadline."""
    moved = _steer(deps, job_id, "pause", job_control.pause, by)
    with deps.database.transaction() as connection:
        job_control.come_to_rest(connection, job_id)
    return moved


def resume(deps: JobDeps, job_id: str, by: Acting | None = None) -> bool:
    """Let a paused job go on."""
    return _steer(deps, job_id, "resume", job_control.resume, by)


def give_up(deps: JobDeps, job_id: str, by: Acting | None = None) -> bool:
    """End a job whose file cannot be sealed, and give back all that it cost.

    Above an amount a second person has to approve that; the job ends all the same.
    """
    steer = partial(
        given_up_jobs.give_up,
        author=author_of(by.actor) if by else HOUSE,
        approval_credits=deps.settings.refund_approval_credits,
    )
    return _steer(deps, job_id, "give_up", steer, by)


class _AlreadyThere(Exception):
    """Nothing is to be changed, and so nothing noted."""


def _steer(
    deps: JobDeps,
    job_id: str,
    verb: str,
    steer: Callable[[Connection, str], SteerResult],
    by: Acting | None,
) -> bool:
    with suppress(_AlreadyThere), deps.database.transaction() as connection:
        license_id = jobs.license_of(connection, job_id)
        if license_id is None:
            raise Refused(Code.NOT_FOUND, f"there is no job {job_id}")
        if by is not None:
            # First: what moves is put down to it. What moves nothing is rolled back.
            action_log.note(connection, by, verb, Target("job", job_id, license_id))
        match steer(connection, job_id):
            case SteerResult.DONE:
                return True
            case SteerResult.ALREADY:
                raise _AlreadyThere
            case SteerResult.NEEDS_A_PERSON:
                raise Refused(Code.FORBIDDEN, NEEDS_A_PERSON)
            case SteerResult.WRONG_STATE | SteerResult.NOT_FOUND:
                state = jobs.state_of(connection, job_id)
                raise Refused(Code.WRONG_STATE, f"{job_id} is {state}")
    return False
