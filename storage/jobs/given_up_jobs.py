"""Giving up a job whose file cannot be sealed: it fails, and all it cost goes back."""

from sqlalchemy import Connection, text

from storage.jobs import jobs, outbox
from storage.jobs.job_control import SteerResult
from storage.jobs.jobs import Finished
from storage.ledger import release
from storage.refunds import credit_notes
from storage.refunds.credit_notes import HOUSE, Author, MakeResult, Wanted
from storage.state_machine import JobState

_REASON = "the job was given up"


def give_up(
    connection: Connection,
    job_id: str,
    author: Author = HOUSE,
    *,
    approval_credits: int | None = None,
) -> SteerResult:
    """End a finishing job as failed, without a file, and refund all its charges.

    Above `approval_credits` its credit note waits for a second person. A completion
    that is under way is fenced off by the entry it holds.
    """
    if not outbox.withdraw(connection, jobs.COMPLETE, job_id):
        return _unless(connection, job_id)
    return _end(
        connection,
        job_id,
        author,
        approval_credits=approval_credits,
        reason=_REASON,
        told="the result could not be sealed; ",
    )


def end_without_file(
    connection: Connection, job_id: str, *, reason: str, detail: str
) -> None:
    """End a job of which nothing has reached anybody, and refund all its charges.

    The caller has fenced off whoever else may end it. Nobody has decided it, so nobody
    has to approve it.
    """
    decision = _decide(connection, job_id, HOUSE, None, reason)
    _end_as(connection, job_id, decision, detail)


def _end(
    connection: Connection,
    job_id: str,
    author: Author,
    *,
    approval_credits: int | None,
    reason: str,
    told: str,
) -> SteerResult:
    decision = _decide(connection, job_id, author, approval_credits, reason)
    match decision.result:
        case MakeResult.NEEDS_A_PERSON:
            return SteerResult.NEEDS_A_PERSON
        case MakeResult.AWAITING_APPROVAL:
            detail = f"{told}the refund of its charges waits for a second person"
        case _:
            detail = f"{told}all charges were refunded"
    _end_as(connection, job_id, decision, detail)
    return SteerResult.DONE


def _decide(
    connection: Connection,
    job_id: str,
    author: Author,
    approval_credits: int | None,
    reason: str,
) -> credit_notes.Decision:
    """Lock entitlements before the reservation is closed: the ledger's order."""
    license_id = jobs.license_of(connection, job_id)
    if license_id is None:
        raise LookupError(job_id)
    wanted = Wanted(license_id=license_id, job_id=job_id, reason=reason)
    return credit_notes.decide(
        connection, wanted, author, approval_credits=approval_credits, closes=True
    )


def _end_as(
    connection: Connection, job_id: str, decision: credit_notes.Decision, detail: str
) -> None:
    release.close(connection, job_id)
    if decision.result is not MakeResult.NOTHING_LEFT:
        credit_notes.carry_out(connection, decision)
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
