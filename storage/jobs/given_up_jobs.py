"""Giving up a job whose file cannot be sealed: it fails, and all it cost goes back."""

from sqlalchemy import Connection, text

from storage.jobs import jobs, outbox
from storage.jobs.job_control import SteerResult
from storage.jobs.jobs import Finished
from storage.ledger import refunds, release
from storage.state_machine import JobState


def give_up(connection: Connection, job_id: str) -> SteerResult:
    """End a finishing job as failed, without a file, and refund all its charges.

    A completion that is under way is fenced off by the entry it holds. Locks are taken
    in the ledger's order: entitlements, reservation, period.
    """
    if not outbox.withdraw(connection, jobs.COMPLETE, job_id):
        return _unless(connection, job_id)
    end_without_file(
        connection,
        job_id,
        reason="the job was given up",
        detail="the result could not be sealed; all charges were refunded",
    )
    return SteerResult.DONE


def end_without_file(
    connection: Connection, job_id: str, *, reason: str, detail: str
) -> None:
    """End a job of which nothing has reached anybody, and refund all its charges.

    The caller has fenced off whoever else may end it.
    """
    charge_ids = refunds.lock_paid(connection, job_id)
    release.close(connection, job_id)
    refunds.refund_all(connection, charge_ids, reason)
    failed = Finished(
        state=JobState.FAILED, error_code=jobs.GIVEN_UP, error_detail=detail
    )
    jobs.end(connection, job_id, failed)


def _unless(connection: Connection, job_id: str) -> SteerResult:
    """Why there is nothing to give up."""
    job = connection.execute(
        text("SELECT error_code FROM jobs WHERE id = :job_id"), {"job_id": job_id}
    ).one_or_none()
    if job is None:
        return SteerResult.NOT_FOUND
    given_up = job.error_code == jobs.GIVEN_UP
    return SteerResult.ALREADY if given_up else SteerResult.WRONG_STATE
