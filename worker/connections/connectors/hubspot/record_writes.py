"""Writing contacts and companies, by our key, each row to its end."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from worker.connections.connectors.connector import (
    Kind,
    Link,
    Rejected,
    Result,
    Row,
    Written,
)
from worker.connections.connectors.hubspot.api import (
    KEY,
    TYPES,
    HubSpotApi,
    errors_of,
    results_of,
)
from worker.connections.connectors.hubspot.batch_writes import Told, settled
from worker.connections.connectors.hubspot.errors import (
    CONFLICT,
    existing_contact,
    holder,
    refusal_of,
)
from worker.connections.connectors.hubspot.record_search import (
    addresses_of,
    key,
    normal,
    plainly_keyed,
    read,
    value_of,
)
from worker.connections.connectors.value_comparison import difference

_ASSOCIATE = "/associations/contacts/companies/batch/associate/default"


def write(api: HubSpotApi, kind: Kind, rows: Sequence[Row]) -> dict[str, Result]:
    """Upsert by our key what has no id of theirs, update the others by that id."""
    once, twice = _without_doubles(_with_older(api, kind, rows))
    fresh = [row for row in once if row.their_id is None]
    known = [row for row in once if row.their_id is not None]
    results = settled(fresh, partial(_once, api, kind, "upsert"))
    adopted = _adoptable(api, kind, fresh, results)
    # Whoever is known to be a record has it before one who is taken for it.
    taken = {row.their_id for row in known}
    adopted = [row for row in adopted if row.their_id not in taken]
    update = partial(_once, api, kind, "update")
    results |= settled(adopted, update) | settled(known, update) | twice
    return {our_id: _linked(api, kind, one) for our_id, one in results.items()}


def link(api: HubSpotApi, links: Sequence[Link]) -> dict[str, Rejected]:
    """Associate contacts with their companies; who was refused."""
    rows = [
        Row(
            id=one.person_id,
            fields={},
            their_id=one.person_their_id,
            company_their_id=one.company_their_id,
        )
        for one in links
    ]
    results = settled(rows, partial(_associate, api))
    return {
        our_id: result
        for our_id, result in results.items()
        if isinstance(result, Rejected)
    }


def _with_older(api: HubSpotApi, kind: Kind, rows: Sequence[Row]) -> list[Row]:
    """The rows, those with the records that an older version has made by their id.

    A batch that it has left in doubt may be sent again by this one.
    """
    fresh = [row.id for row in rows if row.their_id is None]
    there = plainly_keyed(api, kind, fresh)
    return [
        row._replace(their_id=str(there[row.id]["id"])) if row.id in there else row
        for row in rows
    ]


def _without_doubles(rows: Sequence[Row]) -> tuple[list[Row], dict[str, Result]]:
    """One row a record: HubSpot refuses a batch that names a record twice."""
    taken: dict[str, str] = {}
    once: list[Row] = []
    twice: dict[str, Result] = {}
    for row in rows:
        first = (
            row.id if row.their_id is None else taken.setdefault(row.their_id, row.id)
        )
        if first == row.id:
            once.append(row)
        else:
            twice[row.id] = Rejected(
                code="duplicate", message=f"{first} is that record of HubSpot already"
            )
    return once, twice


def _once(api: HubSpotApi, kind: Kind, verb: str, rows: Sequence[Row]) -> Told:
    """One batch. Results come in no order, and errors where they say whose they are."""
    body = api.send(
        "POST",
        f"/objects/{TYPES[kind].name}/batch/{verb}",
        {"inputs": [_input(row) for row in rows]},
    )
    ours = {key(row.id): row.id for row in rows}
    by_handle = {_handle(row): row.id for row in rows}
    fields = {row.id: row.fields for row in rows}
    results: dict[str, Result] = {}
    for record in results_of(body):
        told = (
            ours.get(str(record.get("objectWriteTraceId"))),
            ours.get(value_of(record, KEY)),
            by_handle.get(str(record.get("id"))) if verb == "update" else None,
        )
        our_id = next((one for one in told if one is not None), None)
        if our_id is not None:
            results[our_id] = Written(
                their_id=str(record["id"]),
                created=record.get("new") is True,
                incomplete=difference(fields[our_id], _answered(record)),
            )
    unclear: Rejected | None = None
    for error in errors_of(body):
        refusal = refusal_of(error)
        if refusal.is_passing:
            continue
        meant = {ours[one] for one in refusal.trace_ids if one in ours} or {
            by_handle[one] for one in refusal.ids if one in by_handle
        }
        results |= dict.fromkeys(meant, refusal.rejected)
        unclear = unclear if meant else refusal.rejected
    return Told(results, unclear)


def _answered(record: Mapping[str, Any]) -> dict[str, str]:
    """The properties that an answer has, as they would be sent."""
    given = record.get("properties")
    return {name: value_of(record, name) for name in given or ()}


def _input(row: Row) -> dict[str, Any]:
    handle: dict[str, Any] = {"id": _handle(row)}
    if row.their_id is None:
        handle["idProperty"] = KEY
    return {
        **handle,
        "objectWriteTraceId": key(row.id),
        "properties": {**row.fields, KEY: key(row.id)},
    }


def _handle(row: Row) -> str:
    """What a row is sent by: the record's id, or our key."""
    return key(row.id) if row.their_id is None else row.their_id


def _adoptable(
    api: HubSpotApi, kind: Kind, rows: Sequence[Row], results: dict[str, Result]
) -> list[Row]:
    """Rows whose e-mail address a contact has that is nobody's of ours.

    Somebody made it since we looked, or HubSpot did not show it yet: it is the contact
    that was meant, and is updated.
    """
    if kind is not Kind.PERSON:
        return []
    contested: dict[str, Row] = {}
    for row in rows:
        result = results[row.id]
        if isinstance(result, Rejected) and result.code == CONFLICT:
            their_id = existing_contact(result.message)
            if their_id is not None:
                contested.setdefault(their_id, row)
    records = read(api, kind, list(contested))
    return [
        row._replace(their_id=str(records[asked]["id"]))
        for asked, row in contested.items()
        if asked in records and _is_free(records[asked], row)
    ]


def _is_free(record: Mapping[str, Any], row: Row) -> bool:
    is_ours = value_of(record, KEY) in {"", row.id, key(row.id)}
    address = normal(Kind.PERSON, row.fields.get("email", ""))
    return is_ours and address in addresses_of(record)


def _linked(api: HubSpotApi, kind: Kind, result: Result) -> Result:
    their_id: str | None
    if isinstance(result, Written):
        their_id = result.their_id
    else:
        their_id = holder(result.message) if result.code == CONFLICT else None
    if their_id is None:
        return result
    return result._replace(link=api.screen(kind, their_id))


def _associate(api: HubSpotApi, rows: Sequence[Row]) -> Told:
    """One batch. Whom an error concerns is found by halving.

    It names ids, but a contact and a company may have the same.
    """
    pairs = {(row.their_id, row.company_their_id): row for row in rows}
    body = api.send(
        "POST",
        _ASSOCIATE,
        {
            "inputs": [
                {"from": {"id": contact}, "to": {"id": company}}
                for contact, company in pairs
            ]
        },
    )
    done = {
        (_id_at(result, "from"), _id_at(result, "to")) for result in results_of(body)
    }
    results: dict[str, Result] = {
        row.id: Written(their_id=str(row.their_id), created=False)
        for row in rows
        if (row.their_id, row.company_their_id) in done
    }
    refusals = (refusal_of(error) for error in errors_of(body))
    unclear = [one.rejected for one in refusals if not one.is_passing]
    return Told(results, unclear[0] if unclear else None)


def _id_at(result: Mapping[str, Any], end: str) -> str:
    given = result.get(end)
    return str(given.get("id")) if isinstance(given, Mapping) else ""
