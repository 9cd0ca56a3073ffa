"""The producer: quotes, and the jobs that are made of them.

The command line and the API call these. A refusal is raised as `Refused`, and rolls
back all that its transaction did.
"""

import secrets
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import Connection

from pricing.plans import Item, terms_of
from pricing.quote import Tally, expires_at
from storage.errors import ArtifactError, StorageError
from storage.files import row_with_file
from storage.jobs import jobs
from storage.ledger import balances, periods, reservations
from storage.ledger.reservations import ReserveResult
from storage.licenses import licenses
from storage.quotes import quotes
from storage.webhooks import events
from worker import pushchecks, templates
from worker.checks import check_id, check_name
from worker.choosing import Choice
from worker.errors import Code, Refused, bad
from worker.files import Export, Layout, export_of
from worker.inputs import InputWriter, fits_records
from worker.licensing import open_license
from worker.once import Once
from worker.permission import check_permission, telling_who_may_not_spend
from worker.pushes import Push, push_of
from worker.quoting import price_all
from worker.readers import Reading
from worker.records import Kept
from worker.wiring import Deps


def new_id(kind: str) -> str:
    """A fresh id that says what it is the id of: `job_...`."""
    return f"{kind}_{secrets.token_hex(10)}"


def quote(
    deps: Deps,
    request: quotes.Request,
    reading: Reading | Kept,
    once: Once | None = None,
) -> quotes.StoredQuote:
    """Price a file's records and keep the quote with them; it moves no credits.

    `once` is called in the transaction that keeps it, with the quote's id. Raises
    `BadInput` with lines and fields, `Refused` without a license, and `DiskFull`;
    then nothing is kept.
    """
    stored = _priced(deps, request, reading)
    name = _input_name(stored.id)
    with row_with_file.kept_with_its_file(
        deps.database, deps.artifacts, name
    ) as connection:
        quotes.put(connection, stored)
        if once is not None:
            once(connection, stored.id)
    return stored


def _input_name(quote_id: str) -> str:
    return f"inputs/{quote_id}.jsonl"


def _priced(
    deps: Deps, request: quotes.Request, reading: Reading | Kept
) -> quotes.StoredQuote:
    """A quote whose input is written, and which no row knows of yet."""
    request = templates.applied(deps, request)
    export, push = _check_request(request)
    license_ = open_license(deps, request.license_id)
    with deps.database.transaction() as connection:
        quoted_at = licenses.business_now(connection)
        balance = balances.balance(connection, license_.id)
    check = pushchecks.check_of(deps, request, push) if push is not None else None
    tally = Tally(
        terms=terms_of(license_.plan, license_.payment_term),
        quoted_at=quoted_at,
        retrieve=request.retrieve,
        available=balance.available if balance else 0,
        duplicates=reading.duplicates or 0,
    )
    quote_id = new_id("quote")
    name = _input_name(quote_id)
    with deps.artifacts.create(name) as draft:
        writer = InputWriter(draft, deps.settings.chunk_records)
        choice = Choice(deps.database, license_.id, request.export)
        price_all(
            deps.database,
            license_.id,
            reading,
            tally,
            writer,
            choice=choice,
            records_max=deps.settings.records_max,
            look_at=check.look_at if check is not None else None,
        )
        # Known only now: a record may bring its own fields.
        if export is not None:
            Layout(export, tuple(reading.columns), request.retrieve).check()
        if check is not None:
            check.end(tuple(reading.columns))
    return quotes.StoredQuote(
        id=quote_id,
        request=request,
        quote=tally.quote(),
        input=quotes.Input(
            name=name, columns=tuple(reading.columns), slices=tuple(writer.slices)
        ),
        expires_at=expires_at(
            quoted_at,
            deps.settings.quote_lifetime_s,
            balance.ends_at if balance else None,
        ),
    )


def submit(
    deps: Deps,
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
    deps: Deps,
    request: quotes.Request,
    reading: Reading | Kept,
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
    stored = _priced(deps, request, reading)
    try:
        return _make(deps, submission, stored.id, stored)
    except (Refused, StorageError):
        # What fits the credits has been counted in it by now.
        with suppress(ArtifactError):
            deps.artifacts.remove(_input_name(stored.id))
        raise


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
    deps: Deps,
    submission: _Submission,
    quote_id: str,
    new: quotes.StoredQuote | None = None,
) -> str:
    """The job of a quote; a `new` quote is kept with it."""
    try:
        with telling_who_may_not_spend(deps), deps.database.transaction() as connection:
            if new is not None:
                quotes.put(connection, new)
            _submit(deps, connection, quote_id, submission)
    except _Insufficient as short:
        raise _insufficient(deps, short) from short
    return submission.job_id


def _submit(
    deps: Deps, connection: Connection, quote_id: str, submission: _Submission
) -> None:
    job_id, name, max_credits, retry_of, once = submission
    stored = quotes.get(connection, quote_id, lock=True)
    if stored is None:
        raise Refused(Code.NOT_FOUND, f"there is no quote {quote_id}")
    _check_quote(connection, stored, max_credits)
    request = stored.request
    if request.push is not None:
        pushchecks.connected(connection, request, push_of(request.push))
    check_permission(
        connection, request.license_id, request.user_id, stored.quote.max_credits
    )
    _reserve(deps, connection, stored, job_id)
    jobs.create(connection, job_id, stored, name=name, retry_of=retry_of)
    if once is not None:
        once(connection, job_id)


def _check_quote(
    connection: Connection,
    stored: quotes.StoredQuote,
    max_credits: int | None,
) -> None:
    made = jobs.of_quote(connection, stored.id)
    if made is not None:
        raise Refused(Code.WRONG_STATE, f"quote {stored.id} has made {made}")
    if licenses.business_now(connection) >= stored.expires_at:
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


def _reserve(
    deps: Deps,
    connection: Connection,
    stored: quotes.StoredQuote,
    job_id: str,
) -> None:
    license_id = stored.request.license_id
    periods.open_current(connection, license_id)
    result = reservations.reserve(
        connection,
        license_id,
        job_id,
        stored.quote.max_credits,
        lifetime_s=deps.settings.reservation_lifetime_s,
    )
    match result:
        case ReserveResult.CREATED:
            events.credits_low(
                connection, license_id, share=deps.settings.credits_low_share
            )
        case ReserveResult.INSUFFICIENT_CREDITS:
            balance = balances.balance(connection, license_id)
            raise _Insufficient(stored, balance.available if balance else 0)
        case ReserveResult.NO_RUNNING_PERIOD if stored.quote.max_credits:
            raise _Insufficient(stored, 0)
        case ReserveResult.NO_RUNNING_PERIOD:
            raise Refused(Code.WRONG_STATE, f"license {license_id} has not started")
        case ReserveResult.EXISTS | ReserveResult.EXISTS_WITH_DIFFERENT_AMOUNT:
            raise Refused(Code.ALREADY_EXISTS, f"{job_id} has a reservation")


def _insufficient(deps: Deps, short: _Insufficient) -> Refused:
    needed, name = short.stored.quote.max_credits, short.stored.input.name
    return Refused(
        Code.INSUFFICIENT_CREDITS,
        f"{needed} credits are needed, {short.available} are available",
        available=short.available,
        needed=needed,
        fits_records=fits_records(deps.artifacts, name, short.available) if name else 0,
    )


def _check_request(request: quotes.Request) -> tuple[Export | None, Push | None]:
    """How the file is to look, or where the push goes to."""
    check_id("license", request.license_id)
    check_id("user", request.user_id)
    if request.only_with is not None and Item.EMAIL not in request.retrieve:
        raise bad("only_with", "needs email in retrieve")
    if request.kind == "export":
        return export_of(request.export), None
    if request.push is None:
        raise bad("push", "is missing: name a connection")
    return None, push_of(request.push)
