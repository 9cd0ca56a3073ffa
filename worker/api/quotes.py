"""Quotes: what a job can cost at most."""

from typing import Any

from fastapi import APIRouter, Request

from pricing.findings import EmailLevel, OnlyWith
from pricing.plans import Item
from storage.enumerations import Scope
from storage.quotes import quotes
from storage.quotes.quotes import StoredQuote
from worker import answers, producer, uploads
from worker.answers import Answer
from worker.api import models
from worker.api.door import Door, door_of
from worker.api.guard import GuardedRoute, Whose, allow, license_itself
from worker.api.replay import made_by, once_of
from worker.errors import Code, Refused, bad
from worker.readers import Reading, inline
from worker.records import Kept

router = APIRouter(route_class=GuardedRoute, tags=["quotes"])


@router.post("/quotes", status_code=201, response_model=models.Quote)
@allow(Scope.PRODUCER, body=(Whose("license", license_itself),))
def create_quote(request: Request, body: models.QuoteBody) -> Answer:
    """Price records, and say what a job of them can cost at most."""
    door = door_of(request)
    made = made_by(request)
    if made is not None:
        return answers.of_quote(_stored(door, made))
    stored = producer.quote(
        door.deps, wanted_of(body), reading_of(door, body), once_of(request)
    )
    return answers.of_quote(stored)


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


def reading_of(door: Door, body: models.QuoteBody) -> Reading | Kept:
    """The records that a body holds, or whose upload it names."""
    if (body.records is None) == (body.upload is None):
        raise bad("records", "give either records or an upload")
    if body.upload is not None:
        stored = uploads.find(door.deps, body.license, body.upload)
        return uploads.reading_of(door.deps, stored)
    records = body.records or []
    if len(records) > door.deps.settings.inline_records_max:
        raise Refused(
            Code.TOO_LARGE,
            f"a body may hold {door.deps.settings.inline_records_max} records: "
            "upload more than that",
        )
    return inline.read(records)


def _stored(door: Door, quote_id: str) -> StoredQuote:
    with door.deps.database.transaction() as connection:
        stored = quotes.get(connection, quote_id)
    if stored is None:
        raise Refused(Code.NOT_FOUND, f"there is no quote {quote_id}")
    return stored
