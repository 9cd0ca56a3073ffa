"""Quotes: what a job can cost at most, priced record by record and kept with its input.

A refusal is raised as `Refused`, and rolls back all that its transaction did.
"""

from pricing.plans import Item, terms_of
from pricing.quote import Tally, expires_at
from storage.files import row_with_file
from storage.licenses.idempotency_keys import Once
from storage.quotes import quotes
from worker.infrastructure.errors import bad
from worker.infrastructure.ids import check_id, new_id
from worker.licenses.licenses import open_account
from worker.quotes.chunk_slices import InputWriter
from worker.quotes.decided_records import Decided
from worker.quotes.kept_records import Kept
from worker.quotes.quoted_kind import QuoteDeps
from worker.quotes.readers.reader import Reading
from worker.quotes.record_pricing import price_all


def quote(
    deps: QuoteDeps,
    request: quotes.Request,
    reading: Reading | Kept | Decided,
    once: Once | None = None,
) -> quotes.StoredQuote:
    """Price a file's records and keep the quote with them; it moves no credits.

    `once` is called in the transaction that keeps it, with the quote's id. Raises
    `BadInput` with lines and fields, `Refused` without a license, and `DiskFull`;
    then nothing is kept.
    """
    stored = priced(deps, request, reading)
    name = input_name(stored.id)
    with row_with_file.kept_with_its_file(
        deps.database, deps.artifacts, name
    ) as connection:
        quotes.put(connection, stored)
        if once is not None:
            once(connection, stored.id)
    return stored


def input_name(quote_id: str) -> str:
    """Where the priced records of a quote lie, which are the input of its job."""
    return f"inputs/{quote_id}.jsonl"


def priced(
    deps: QuoteDeps, request: quotes.Request, reading: Reading | Kept | Decided
) -> quotes.StoredQuote:
    """A quote whose input is written, and which no row knows of yet."""
    kind = deps.kinds[request.kind]
    _check_request(request)
    request = kind.resolved(deps, request)
    plan, payment_term, quoted_at, balance = open_account(deps, request.license_id)
    check = kind.quote_check(deps, request)
    tally = Tally(
        terms=reading.terms
        if isinstance(reading, Decided)
        else terms_of(plan, payment_term),
        quoted_at=quoted_at,
        retrieve=request.retrieve,
        available=balance.available if balance else 0,
        duplicates=reading.duplicates,
        trimmed=reading.trimmed,
    )
    quote_id = new_id("quote")
    name = input_name(quote_id)
    with deps.artifacts.create(name) as draft:
        writer = InputWriter(draft, deps.settings.chunk_records)
        price_all(
            deps.database,
            request.license_id,
            reading,
            tally,
            writer,
            check=check,
            records_max=deps.settings.records_max,
            bytes_max=deps.settings.upload_decoded_bytes_max,
        )
        # Known only now: a record may bring its own fields.
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


def _check_request(request: quotes.Request) -> None:
    check_id("license", request.license_id)
    check_id("user", request.user_id)
    if request.only_with is not None and Item.EMAIL not in request.retrieve:
        raise bad("only_with", "needs email in retrieve")
