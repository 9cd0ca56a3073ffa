"""Submission: the job of a quote, and its reservation, in one transaction.

The command line and the API call these. A refusal is raised as `Refused`, and rolls
back all that its transaction did.
"""

from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import Connection

from storage.errors import ArtifactError, StorageError
from storage.jobs import jobs
from storage.ledger import balances, periods
from storage.ledger.reservations import ReserveResult
from storage.licenses.idempotency_keys import Once
from storage.quotes import quotes
from storage.webhooks import events
from worker.infrastructure.errors import Code, Refused
from worker.infrastructure.ids import check_name, new_id
from worker.infrastructure.telemetry import traces
from worker.jobs.delivery import JobDeps
from worker.licenses.licenses import no_period_yet
from worker.licenses.spending_permission import (
    check_permission,
    telling_who_may_not_spend,
)
from worker.quotes.decided_records import Decided
from worker.quotes.kept_records import Kept
from worker.quotes.priced_records import fits_records
from worker.quotes.quote_maker import input_name, priced, put
from worker.quotes.readers.reader import Reading


def submit(
    deps: JobDeps,
    quote_id: str,
    *,
    name: str | None = None,
    max_credits: int | None = None,
    retry_of: str | None = None,
    once: Once | None = None,
) -> str:
    """Make the job of a quote and reserve its credits, all or nothing.

    Returns the job's id. Raises `Refused`: no such quote, expired, used before,
    above the ceiling, not allowed, or not enough credits.
    """
    submission = _submission(name, max_credits, retry_of, once)
    return _make(deps, submission, quote_id)


def submit_at_once(
    deps: JobDeps,
    request: quotes.Request,
    reading: Reading | Kept | Decided,
    *,
    name: str | None = None,
    max_credits: int | None = None,
    retry_of: str | None = None,
    once: Once | None = None,
) -> str:
    """Quote a file's records and make their job, both or neither.

    Returns the job's id. Raises what `quote` and `submit` raise; then neither the
    quote nor the job is there.
    """
    submission = _submission(name, max_credits, retry_of, once)
    stored = priced(deps, request, reading)
    try:
        return _make(deps, submission, stored.id, _New(stored, reading))
    except (Refused, StorageError):
        # What fits the credits has been counted in it by now.
        with suppress(ArtifactError):
            deps.artifacts.remove(input_name(stored.id))
        raise


class _New(NamedTuple):
    """A quote that is kept with its job, and what it was made of."""

    quote: quotes.StoredQuote
    reading: Reading | Kept | Decided


class _Submission(NamedTuple):
    job_id: str
    name: str | None
    max_credits: int | None
    retry_of: str | None
    once: Once | None


def _submission(
    name: str | None,
    max_credits: int | None,
    retry_of: str | None,
    once: Once | None,
) -> _Submission:
    if name is not None:
        check_name(name)
    return _Submission(new_id("job"), name, max_credits, retry_of, once)


def _make(
    deps: JobDeps,
    submission: _Submission,
    quote_id: str,
    new: _New | None = None,
) -> str:
    """The job of a quote; a `new` quote is kept with it."""
    try:
        with (
            traces.span("submit", job=submission.job_id),
            telling_who_may_not_spend(deps),
            deps.database.transaction() as connection,
        ):
            if new is not None:
                put(connection, *new)
            # Nobody else knows of a new one.
            stored = new.quote if new else quotes.get(connection, quote_id, lock=True)
            if stored is None:
                raise Refused(Code.NOT_FOUND, f"there is no quote {quote_id}")
            _submit(deps, connection, stored, submission)
    except _Insufficient as short:
        raise _insufficient(deps, short) from short
    return submission.job_id


def _submit(
    deps: JobDeps,
    connection: Connection,
    stored: quotes.StoredQuote,
    submission: _Submission,
) -> None:
    _check_quote(connection, stored, submission.max_credits)
    request = stored.request
    deps.kinds[request.kind].check_submission(connection, request)
    check_permission(
        connection, request.license_id, request.user_id, stored.quote.max_credits
    )
    if submission.once is not None:
        submission.once(connection, submission.job_id)
    # Last: all of a license wait for the lock that it takes.
    _create(deps, connection, stored, submission)


def _check_quote(
    connection: Connection,
    stored: quotes.StoredQuote,
    max_credits: int | None,
) -> None:
    now, made = jobs.of_quote(connection, stored.id)
    if made is not None:
        raise Refused(Code.WRONG_STATE, f"quote {stored.id} has made {made}")
    if now >= stored.expires_at:
        raise Refused(Code.QUOTE_EXPIRED, f"quote {stored.id} has expired")
    needed = stored.quote.max_credits
    if max_credits is not None and needed > max_credits:
        raise Refused(
            Code.CEILING_EXCEEDED,
            f"the quote is {needed} credits, the ceiling {max_credits}",
            needed=needed,
            max_credits=max_credits,
        )


class _Insufficient(Exception):
    """The credits do not suffice; what does fit is counted outside the transaction."""

    def __init__(self, stored: quotes.StoredQuote, available: int) -> None:
        self.stored = stored
        self.available = available
        super().__init__(f"{available} credits are available")


def _create(
    deps: JobDeps,
    connection: Connection,
    stored: quotes.StoredQuote,
    submission: _Submission,
) -> None:
    license_id, has_started = stored.request.license_id, True
    result = _reserve_and_make(deps, connection, stored, submission)
    if result is ReserveResult.NO_RUNNING_PERIOD:
        has_started = periods.open_current(connection, license_id)
        result = _reserve_and_make(deps, connection, stored, submission)
    match result:
        case ReserveResult.CREATED:
            pass
        case ReserveResult.CREATED_AND_LOW:
            events.credits_low(
                connection, license_id, share=deps.settings.credits_low_share
            )
        case ReserveResult.INSUFFICIENT_CREDITS:
            balance = balances.balance(connection, license_id)
            raise _Insufficient(stored, balance.available if balance else 0)
        case ReserveResult.NO_RUNNING_PERIOD if has_started:
            raise no_period_yet(license_id)
        case ReserveResult.NO_RUNNING_PERIOD if stored.quote.max_credits:
            raise _Insufficient(stored, 0)
        case ReserveResult.NO_RUNNING_PERIOD:
            raise Refused(Code.WRONG_STATE, f"license {license_id} has not started")
        case ReserveResult.EXISTS | ReserveResult.EXISTS_WITH_DIFFERENT_AMOUNT:
            raise Refused(Code.ALREADY_EXISTS, f"{submission.job_id} has a reservation")


def _reserve_and_make(
    deps: JobDeps,
    connection: Connection,
    stored: quotes.StoredQuote,
    submission: _Submission,
) -> ReserveResult:
    return jobs.create(
        connection,
        submission.job_id,
        stored,
        name=submission.name,
        retry_of=submission.retry_of,
        lifetime_s=deps.settings.reservation_lifetime_s,
        low_share=deps.settings.credits_low_share,
        traceparent=traces.traceparent(),
    )


def _insufficient(deps: JobDeps, short: _Insufficient) -> Refused:
    needed, name = short.stored.quote.max_credits, short.stored.input.name
    return Refused(
        Code.INSUFFICIENT_CREDITS,
        f"{needed} credits are needed, {short.available} are available",
        available=short.available,
        needed=needed,
        fits_records=fits_records(deps.artifacts, name, short.available) if name else 0,
    )
