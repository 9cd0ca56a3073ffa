"""Quotes: what a job can cost at most."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from pricing.findings import EmailLevel, OnlyWith
from pricing.plans import Item
from storage.access_scopes import Scope
from storage.quotes import quotes
from storage.quotes.quotes import StoredQuote
from worker.api import models
from worker.api.access_control import CheckedRoute, Whose, allow, license_itself
from worker.api.context import ApiContext, context_of
from worker.api.idempotency_keys import made_by, once_of
from worker.infrastructure.errors import Code, Refused, bad
from worker.quotes import quote_maker, uploads
from worker.quotes.kept_records import Kept
from worker.quotes.readers import inline_records
from worker.quotes.readers.reader import Reading
from worker.responses import quote_responses

router = APIRouter(route_class=CheckedRoute, tags=["quotes"])

_AT_ONCE_BYTES = 1 << 16
"""A body that is no larger is read before a thread would have been found."""


async def _written_records(request: Request) -> list[Any] | None:
    """The records again, from the body's text: FastAPI keeps a number's value alone.

    All other fields keep their strict types.
    """
    body = await request.body()
    if len(body) <= _AT_ONCE_BYTES:
        return inline_records.written_records(body)
    return await run_in_threadpool(inline_records.written_records, body)


WrittenRecords = Annotated[list[Any] | None, Depends(_written_records)]


@router.post("/quotes", status_code=201, response_model=models.Quote)
@allow(Scope.PRODUCER, body=(Whose("license", license_itself),))
def create_quote(
    request: Request, body: models.QuoteBody, records: WrittenRecords
) -> JSONResponse:
    """Price records, and say what a job of them can cost at most."""
    context = context_of(request)
    made = made_by(request)
    if made is None:
        stored = quote_maker.quote(
            context.deps,
            wanted_of(body),
            reading_of(context, body, records),
            once_of(request),
        )
    else:
        stored = _stored(context, made)
    # Written here: to be held against its model it would be handed to two threads more.
    return JSONResponse(quote_responses.of_quote(stored), 201)


def wanted_of(body: models.QuoteBody) -> quotes.Request:
    """What a body asks to be quoted."""
    return quotes.Request(
        kind=body.kind,
        license_id=body.license,
        user_id=body.user,
        retrieve=tuple(
            item for item in (Item.EMAIL, Item.PHONE) if item.value in body.retrieve
        ),
        email_level=EmailLevel(body.email_level),
        only_with=OnlyWith(body.only_with) if body.only_with else None,
        export=body.export.model_dump(exclude_unset=True)
        if body.kind == "export"
        else None,
        push=_push_of(body),
    )


def _push_of(body: models.QuoteBody) -> dict[str, Any] | None:
    if body.kind == "push":
        return body.push.model_dump(exclude_unset=True) if body.push else None
    if body.push is not None:
        raise bad("push", "an export goes to no CRM: its kind would be push")
    return None


def reading_of(
    context: ApiContext, body: models.QuoteBody, records: WrittenRecords
) -> Reading | Kept:
    """The records that a body holds, as they are written, or whose upload it names."""
    if (body.records is None) == (body.upload is None):
        raise bad("records", "give either records or an upload")
    if body.upload is not None:
        stored = uploads.find(context.deps, body.license, body.upload)
        return uploads.reading_of(context.deps, stored)
    records = records or []
    if len(records) > context.deps.settings.inline_records_max:
        raise Refused(
            Code.TOO_LARGE,
            f"a body may hold {context.deps.settings.inline_records_max} records: "
            "upload more than that",
        )
    return inline_records.read(records)


def _stored(context: ApiContext, quote_id: str) -> StoredQuote:
    with context.deps.database.transaction() as connection:
        stored = quotes.get(connection, quote_id)
    if stored is None:
        raise Refused(Code.NOT_FOUND, f"there is no quote {quote_id}")
    return stored
