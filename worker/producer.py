"""The one write door: licenses and top-ups, quotes, jobs, and their cancelling.

The command line and the API call these. A refusal is raised as `Refused`, and rolls
back all that its transaction did.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from pricing.permission import may_spend
from pricing.plans import Item, PaymentTerm, Plan, terms_of
from pricing.quote import Tally, expires_at
from storage import events, jobs, ledger, licenses, periods, quotes
from storage.ledger import GrantResult, ReserveResult
from worker.errors import Code, Refused, bad
from worker.inputs import InputWriter
from worker.quoting import price_all
from worker.readers import Reading
from worker.records import id_problem
from worker.wiring import Deps

CREDITS_MAX = 1_000_000_000_000
"""More than this in one grant is taken for a mistake."""

_NAME_LENGTH_MAX = 500


def new_id(kind: str) -> str:
    """A fresh id that says what it is the id of: `job_...`."""
    return f"{kind}_{secrets.token_hex(10)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLicense:
    """A license to be created; without a start it starts at once."""

    id: str
    name: str
    plan: Plan
    payment_term: PaymentTerm
    credits: int
    features: frozenset[str] = frozenset()
    starts_at: datetime | None = None


def create_license(deps: Deps, wanted: NewLicense) -> licenses.CreateResult:
    """Create a license with its running period, once.

    Raises `BadInput`, and `Refused` where another license has this id.
    """
    _check_id("id", wanted.id)
    _check_name(wanted.name)
    _check_credits("credits", wanted.credits, least=0)
    with deps.database.transaction() as connection:
        license_ = licenses.License(
            id=wanted.id,
            name=wanted.name,
            plan=wanted.plan,
            payment_term=wanted.payment_term,
            credits=wanted.credits,
            features=wanted.features,
            starts_at=wanted.starts_at or licenses.business_now(connection),
        )
        result = licenses.create(
            connection, license_, starts_at_given=wanted.starts_at is not None
        )
        if result is licenses.CreateResult.EXISTS_WITH_DIFFERENT_CONTENT:
            raise Refused(
                Code.ALREADY_EXISTS, f"license {wanted.id} exists with other content"
            )
        periods.open_current(connection, wanted.id)
    return result


def top_up(deps: Deps, license_id: str, credits_added: int, reference: str) -> bool:
    """Add credits to the running period; False where this reference did so before."""
    _check_credits("credits", credits_added, least=1)
    _check_id("reference", reference)
    open_license(deps, license_id)
    with deps.database.transaction() as connection:
        result = ledger.grant(connection, license_id, credits_added, reference)
    match result:
        case GrantResult.CREATED:
            return True
        case GrantResult.EXISTS:
            return False
        case GrantResult.EXISTS_WITH_DIFFERENT_AMOUNT:
            raise Refused(
                Code.ALREADY_EXISTS, f"{reference} has added other credits before"
            )
        case GrantResult.NO_RUNNING_PERIOD:
            raise Refused(Code.WRONG_STATE, f"license {license_id} has not started")


def open_license(deps: Deps, license_id: str) -> licenses.License:
    """The license, its running period opened. Raises `Refused` where there is none."""
    with deps.database.transaction() as connection:
        license_ = licenses.get(connection, license_id)
        if license_ is None:
            raise Refused(Code.NOT_FOUND, f"there is no license {license_id}")
        periods.open_current(connection, license_id)
    return license_


def quote(deps: Deps, request: quotes.Request, reading: Reading) -> quotes.StoredQuote:
    """Price a file's records and keep the quote with them; it moves no credits.

    Raises `BadInput` with lines and fields, `Refused` without a license, and
    `DiskFull`; then nothing is kept.
    """
    _check_request(request)
    license_ = open_license(deps, request.license_id)
    with deps.database.transaction() as connection:
        quoted_at = licenses.business_now(connection)
        balance = ledger.balance(connection, license_.id)
    tally = Tally(
        terms=terms_of(license_.plan, license_.payment_term),
        quoted_at=quoted_at,
        retrieve=request.retrieve,
        available=balance.available if balance else 0,
    )
    quote_id = new_id("quote")
    name = f"inputs/{quote_id}.jsonl"
    with deps.artifacts.create(name) as draft:
        writer = InputWriter(draft, deps.settings.chunk_records)
        price_all(deps.database, license_.id, reading, tally, writer)
    stored = quotes.StoredQuote(
        id=quote_id,
        request=request,
        quote=tally.quote(),
        input=quotes.Input(
            name=name, columns=reading.columns, slices=tuple(writer.slices)
        ),
        expires_at=expires_at(
            quoted_at,
            deps.settings.quote_lifetime_s,
            balance.ends_at if balance else None,
        ),
    )
    with deps.database.transaction() as connection:
        quotes.put(connection, stored)
    return stored


def submit(
    deps: Deps,
    quote_id: str,
    *,
    name: str | None = None,
    max_credits: int | None = None,
) -> str:
    """Make the job of a quote and reserve its credits, all or nothing.

    Returns the job's id. Raises `Refused`: no such quote, expired, used before,
    above the ceiling, not allowed, or not enough credits.
    """
    if name is not None:
        _check_name(name)
    job_id = new_id("job")
    with deps.database.transaction() as connection:
        stored = quotes.get(connection, quote_id, lock=True)
        if stored is None:
            raise Refused(Code.NOT_FOUND, f"there is no quote {quote_id}")
        _check_quote(connection, stored, max_credits)
        _check_permission(connection, stored)
        _reserve(deps, connection, stored, job_id)
        jobs.create(connection, job_id, stored, name=name)
    return job_id


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


def _check_permission(connection: Connection, stored: quotes.StoredQuote) -> None:
    request = stored.request
    license_ = licenses.get(connection, request.license_id)
    user = licenses.user_of(connection, request.license_id, request.user_id)
    if license_ is None or not may_spend(
        stored.quote.max_credits,
        role=user.role,
        credits_allowed=user.credits_allowed,
        features=license_.features,
    ):
        raise Refused(Code.CREDITS_NOT_ALLOWED, f"user {user.id} may not spend credits")


def _reserve(
    deps: Deps,
    connection: Connection,
    stored: quotes.StoredQuote,
    job_id: str,
) -> None:
    needed = stored.quote.max_credits
    result = ledger.reserve(
        connection,
        stored.request.license_id,
        job_id,
        needed,
        lifetime_s=deps.settings.reservation_lifetime_s,
    )
    match result:
        case ReserveResult.CREATED:
            events.credits_low(
                connection,
                stored.request.license_id,
                share=deps.settings.credits_low_share,
            )
        case ReserveResult.INSUFFICIENT_CREDITS | ReserveResult.NO_RUNNING_PERIOD:
            balance = ledger.balance(connection, stored.request.license_id)
            available = balance.available if balance else 0
            raise Refused(
                Code.INSUFFICIENT_CREDITS,
                f"{needed} credits are needed, {available} are available",
                available=available,
                needed=needed,
                fits_records=stored.quote.fits_records,
            )
        case ReserveResult.EXISTS | ReserveResult.EXISTS_WITH_DIFFERENT_AMOUNT:
            raise Refused(Code.ALREADY_EXISTS, f"{job_id} has a reservation")


def cancel(deps: Deps, job_id: str) -> None:
    """Stop a job: what was delivered stays charged, the rest is released.

    The same again changes nothing. Raises `Refused` where it has ended otherwise.
    """
    with deps.database.transaction() as connection:
        result = jobs.cancel(connection, job_id)
    match result:
        case jobs.CancelResult.NOT_FOUND:
            raise Refused(Code.NOT_FOUND, f"there is no job {job_id}")
        case jobs.CancelResult.WRONG_STATE:
            raise Refused(Code.WRONG_STATE, f"{job_id} has ended or is being finished")
        case jobs.CancelResult.CANCELLING | jobs.CancelResult.ALREADY:
            pass
    with deps.database.transaction() as connection:
        jobs.stop_idle_chunks(connection, job_id)


def _check_request(request: quotes.Request) -> None:
    _check_id("license", request.license_id)
    _check_id("user", request.user_id)
    if request.only_with is not None and Item.EMAIL not in request.retrieve:
        raise bad("only_with", "needs email in retrieve")


def _check_id(field: str, value: str) -> None:
    message = id_problem(value)
    if message is not None:
        raise bad(field, message)


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > _NAME_LENGTH_MAX or not name.isprintable():
        raise bad("name", f"must be 1 to {_NAME_LENGTH_MAX} printable characters")


def _check_credits(field: str, value: int, *, least: int) -> None:
    if not least <= value <= CREDITS_MAX:
        raise bad(field, f"must be {least} to {CREDITS_MAX}, not {value}")
