"""Quotes as they are stored: what was asked, the frozen terms, and the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, cast, insert, select, text
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE

from pricing.findings import EmailLevel, OnlyWith
from pricing.plans import Item, PaymentTerm, Plan, Terms
from pricing.quote import Changed, Line, Quote
from storage import tables


class Slice(NamedTuple):
    """A run of lines in a job's input: what one chunk will work on."""

    first_byte: int
    bytes: int
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client asks a quote for."""

    kind: str
    license_id: str
    user_id: str
    retrieve: tuple[Item, ...]
    email_level: EmailLevel
    only_with: OnlyWith | None
    export: dict[str, Any] | None
    push: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """The priced records as a file, sliced into chunks; no name once it was removed."""

    name: str | None
    columns: tuple[str, ...]
    slices: tuple[Slice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredQuote:
    """A quote with its id and the instant from which it makes no job any more.

    `noticed` is what the file of its records was taken for, if they came in one.
    """

    id: str
    request: Request
    quote: Quote
    input: Input
    expires_at: datetime
    noticed: Mapping[str, Any] | None = None


# Each statement is made once: making it costs more than running it.
_PUT = insert(tables.quotes).values(free_on=cast(bindparam("ranges"), INT8MULTIRANGE))
_GET = select(tables.quotes).where(tables.quotes.c.id == bindparam("quote_id"))
_GET_LOCKED = _GET.with_for_update(key_share=True)
_OF_JOB = select(tables.quotes).where(
    tables.quotes.c.id.in_(
        select(tables.jobs.c.quote_id).where(tables.jobs.c.id == bindparam("job_id"))
    )
)


def put(connection: Connection, stored: StoredQuote) -> None:
    """Keep a quote; it moves no credits."""
    request, quote, records = stored.request, stored.quote, stored.input
    connection.execute(
        _PUT,
        {
            "id": stored.id,
            "license_id": request.license_id,
            "user_id": request.user_id,
            "kind": request.kind,
            "retrieve": [item.value for item in request.retrieve],
            "email_level": request.email_level.value,
            "only_with": request.only_with.value if request.only_with else None,
            "export": request.export,
            "push": request.push,
            "terms": asdict(quote.terms),
            "quoted_at": quote.quoted_at,
            "expires_at": stored.expires_at,
            "max_credits": quote.max_credits,
            "available": quote.available,
            "fits_records": quote.fits_records,
            "lines": [asdict(line) for line in quote.lines],
            "changed": [list(changed) for changed in quote.changed],
            "records": quote.records,
            "companies": quote.companies,
            "persons": quote.persons,
            "duplicates": quote.duplicates,
            "trimmed": quote.trimmed,
            "excluded": quote.excluded,
            "input": records.name,
            "columns": list(records.columns),
            "slices": [list(part) for part in records.slices],
            "noticed": stored.noticed,
            "ranges": _ranges(quote.free_on),
        },
    )


def _ranges(charges: Sequence[int]) -> str | None:
    """A set of charges as the database reads it: those of a job lie side by side."""
    ranges: list[list[int]] = []
    for charge in sorted(charges):
        if ranges and charge <= ranges[-1][1]:
            ranges[-1][1] = charge + 1
        else:
            ranges.append([charge, charge + 1])
    if not ranges:
        return None
    return "{" + ",".join(f"[{first},{stop})" for first, stop in ranges) + "}"


def get(
    connection: Connection,
    quote_id: str,
    *,
    lock: bool = False,
) -> StoredQuote | None:
    """The quote of this id; `lock` holds it until the transaction ends."""
    statement = _GET_LOCKED if lock else _GET
    row = connection.execute(statement, {"quote_id": quote_id}).mappings().one_or_none()
    return None if row is None else _stored(dict(row))


def license_of(connection: Connection, quote_id: str) -> str | None:
    """The license that a quote is of; None where there is no such quote."""
    table = tables.quotes
    statement = select(table.c.license_id).where(table.c.id == quote_id)
    return connection.execute(statement).scalar_one_or_none()


def of_job(connection: Connection, job_id: str) -> StoredQuote | None:
    """The quote that a job was made of."""
    row = connection.execute(_OF_JOB, {"job_id": job_id}).mappings().one_or_none()
    return None if row is None else _stored(dict(row))


_REQUEST_OF_JOB = text("""
SELECT license_id, user_id, kind, retrieve, email_level, only_with, export, push
  FROM quotes WHERE id = (SELECT quote_id FROM jobs WHERE jobs.id = :job_id)
""")


def request_of_job(connection: Connection, job_id: str) -> Request | None:
    """What was asked of the quote that a job was made of."""
    found = connection.execute(_REQUEST_OF_JOB, {"job_id": job_id})
    row = found.mappings().one_or_none()
    return None if row is None else _request(row)


def terms_from(stored: dict[str, Any]) -> Terms:
    """The terms that a quote froze."""
    return Terms(
        **stored
        | {
            "plan": Plan(stored["plan"]),
            "payment_term": PaymentTerm(stored["payment_term"]),
        },
    )


def _request(row: Mapping[Any, Any]) -> Request:
    return Request(
        kind=row["kind"],
        license_id=row["license_id"],
        user_id=row["user_id"],
        retrieve=tuple(Item(item) for item in row["retrieve"]),
        email_level=EmailLevel(row["email_level"]),
        only_with=OnlyWith(row["only_with"]) if row["only_with"] else None,
        export=row["export"],
        push=row["push"],
    )


def _stored(row: dict[str, Any]) -> StoredQuote:
    return StoredQuote(
        id=row["id"],
        expires_at=row["expires_at"],
        request=_request(row),
        quote=Quote(
            terms=terms_from(row["terms"]),
            quoted_at=row["quoted_at"],
            max_credits=row["max_credits"],
            lines=tuple(
                Line(**line | {"item": Item(line["item"])}) for line in row["lines"]
            ),
            records=row["records"],
            companies=row["companies"],
            persons=row["persons"],
            duplicates=row["duplicates"],
            trimmed=row["trimmed"],
            excluded=row["excluded"],
            changed=tuple(
                Changed(record, Item(item), subject)
                for record, item, subject in row["changed"]
            ),
            available=row["available"],
            fits_records=row["fits_records"],
        ),
        input=Input(
            name=row["input"],
            columns=tuple(row["columns"]),
            slices=tuple(Slice(*part) for part in row["slices"]),
        ),
        noticed=row["noticed"],
    )
