"""HubSpot's batches: many records read or written by one request.

Nothing is written before all rows of a batch have been looked at, so that a batch can
be refused as a whole.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from worker.sandbox.hubspot.portal import USUAL, Objects, Record, instant, same
from worker.sandbox.hubspot.refusals import (
    BadValue,
    Refusal,
    bad_values,
    contact_exists,
    malformed,
    not_found,
    not_unique,
    value_taken,
)
from worker.sandbox.unspoken import only
from worker.sandbox.vendor_behaviour import Refusals

INPUTS_MAX = 100
_SEED = 1
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}")


class Input(NamedTuple):
    """One row of a batch, as it was sent."""

    id: str
    id_property: str | None
    trace_id: str | None
    properties: dict[str, str]


class Planned(NamedTuple):
    """What is to be done about a row: to which record, and whether that is made."""

    given: Input
    record_id: str
    is_new: bool


class Batch(NamedTuple):
    """What became of a batch; `results` are in no order that means anything."""

    results: list[dict[str, Any]]
    errors: list[dict[str, Any]]

    @property
    def status(self) -> int:
        """The HTTP status."""
        return 207 if self.errors else 200

    def body(self) -> dict[str, Any]:
        """The answer."""
        answer: dict[str, Any] = {
            "status": "COMPLETE",
            "results": self.results,
            "requestedAt": instant(),
            "startedAt": instant(),
            "completedAt": instant(),
        }
        if self.errors:
            answer |= {"numErrors": len(self.errors), "errors": self.errors}
        return answer


def inputs_of(body: Any, most: int = INPUTS_MAX) -> list[Any]:  # noqa: ANN401 - whatever was sent
    """The inputs of a batch; one without any is taken, and nothing comes of it."""
    if not isinstance(body, dict):
        raise malformed("Invalid input JSON on line 1, column 1: unexpected value")
    inputs = body.get("inputs", [])
    if not isinstance(inputs, list) or len(inputs) > most:
        raise malformed(f"The maximum number of inputs in a batch request is {most}")
    return inputs


def rows_of(body: Any) -> list[Input]:  # noqa: ANN401 - whatever was sent
    """The rows of a batch to be written."""
    return [_row(one) for one in inputs_of(body)]


def new_rows_of(inputs: Sequence[Any]) -> list[Input]:
    """The rows of records to be made: they have no id yet."""
    for one in inputs:
        if isinstance(one, dict):
            only(one, ("properties", "objectWriteTraceId"))
    return [_row({**one, "id": ""} if isinstance(one, dict) else one) for one in inputs]


def _row(given: Any) -> Input:  # noqa: ANN401 - whatever was sent
    properties = given.get("properties") if isinstance(given, dict) else None
    if not isinstance(properties, dict) or not isinstance(given.get("id"), str):
        raise malformed("Some required fields were not set: [id, properties]")
    only(given, ("id", "idProperty", "objectWriteTraceId", "properties"))
    for value in properties.values():
        if not isinstance(value, str):
            raise malformed(
                "Invalid input JSON on line 1, column 1: Cannot deserialize value of "
                f"type `java.lang.String` from {type(value).__name__}"
            )
    return Input(
        given["id"],
        given.get("idProperty"),
        given.get("objectWriteTraceId"),
        properties,
    )


def write(
    objects: Objects, rows: Sequence[Input], *, creates: bool, refusals: Refusals
) -> Batch:
    """Upsert or update. Raises `Refusal` where nothing was done."""
    _check(objects, rows, creates=creates)
    planned, errors = _planned(objects, rows, refusals, creates=creates)
    results = [_written(objects, one, creates=creates) for one in planned]
    return Batch(_in_no_order(results), errors)


def create(objects: Objects, rows: Sequence[Input], refusals: Refusals) -> Batch:
    """Make records. Raises `Refusal` where nothing was done."""
    _check_names(objects, rows)
    planned, errors = _planned(objects, rows, refusals, creates=True)
    results = [_written(objects, one, creates=False) for one in planned]
    return Batch(_in_no_order(results), errors)


def _planned(
    objects: Objects, rows: Sequence[Input], refusals: Refusals, *, creates: bool
) -> tuple[list[Planned], list[dict[str, Any]]]:
    """What is to be done, and the errors of the rows that are not taken."""
    planned: list[Planned] = []
    errors: list[dict[str, Any]] = []
    claimed: dict[tuple[str, str], str] = {}
    for row in rows:
        try:
            planned.append(_plan(objects, row, claimed, creates=creates))
        except Refusal as refusal:
            if refusals is Refusals.WHOLE:
                raise
            errors.append(refusal.of_row(row.trace_id))
    return planned, errors


def read(objects: Objects, body: Any) -> Batch:  # noqa: ANN401 - whatever was sent
    """The records with these ids, or with these values of a unique property."""
    inputs = inputs_of(body)
    only(body, ("idProperty", "properties", "inputs"))
    id_property = body.get("idProperty")
    if id_property is not None:
        _check_id_property(objects, id_property)
    found: dict[str, Record] = {}
    missing: list[str] = []
    for one in inputs:
        record = _held(objects, id_property, one["id"])
        if record is None:
            missing.append(one["id"])
        else:
            found[record.id] = record
    names = body.get("properties") or USUAL[objects.type]
    known = [name for name in names if name in objects.properties]
    results = [record.shown(known) for record in found.values()]
    errors = [not_found(objects.type, missing).of_row()] if missing else []
    return Batch(_in_no_order(results), errors)


def _check(objects: Objects, rows: Sequence[Input], *, creates: bool) -> None:
    """What makes a batch unfit whatever its rows say."""
    for row in rows:
        if row.id_property is not None:
            _check_id_property(objects, row.id_property)
        elif creates:
            raise not_unique(objects.type_id, "hs_object_id")
    counts = Counter((row.id_property, row.id) for row in rows)
    if doubled := [row_id for (_, row_id), count in counts.items() if count > 1]:
        raise malformed(f"Duplicate IDs found in batch input: {doubled}")
    _check_names(objects, rows)


def _check_names(objects: Objects, rows: Sequence[Input]) -> None:
    for row in rows:
        unknown = [
            BadValue("PROPERTY_DOESNT_EXIST", name, f'Property "{name}" does not exist')
            for name in row.properties
            if name not in objects.properties
        ]
        if unknown:
            raise bad_values(unknown)


def _check_id_property(objects: Objects, name: str) -> None:
    if name not in objects.properties:
        message = f'Property "{name}" does not exist'
        raise bad_values([BadValue("PROPERTY_DOESNT_EXIST", name, message)])
    if not objects.is_unique(name):
        raise not_unique(objects.type_id, name)


def _held(objects: Objects, id_property: str | None, value: str) -> Record | None:
    if id_property is None:
        return objects.get(value)
    return objects.get(objects.holder(id_property, value) or "")


def _plan(
    objects: Objects,
    row: Input,
    claimed: dict[tuple[str, str], str],
    *,
    creates: bool,
) -> Planned:
    if bad := list(_bad_values(objects, row)):
        raise bad_values(bad)
    record = _held(objects, row.id_property, row.id)
    if record is None and not creates:
        raise not_found(objects.type, [row.id])
    record_id = objects.new_id() if record is None else record.id
    for name, value in row.properties.items():
        if not value or not objects.is_unique(name):
            continue
        key = (name, same(name, value))
        existing_id = objects.holder(name, value) or claimed.get(key)
        if existing_id not in {None, record_id}:
            raise _taken(objects, name, value, str(existing_id))
        claimed[key] = record_id
    return Planned(row, record_id, record is None)


def _taken(objects: Objects, name: str, value: str, existing_id: str) -> Refusal:
    if (objects.type, name) == ("contacts", "email"):
        return contact_exists(existing_id)
    return value_taken(objects.type_id, name, value, existing_id)


def _bad_values(objects: Objects, row: Input) -> Iterator[BadValue]:
    for name, value in row.properties.items():
        property_ = objects.properties[name]
        options = [option["value"] for option in property_["options"]]
        if property_["modificationMetadata"]["readOnlyValue"]:
            yield BadValue("READ_ONLY_VALUE", name, f'"{name}" is a read only property')
        elif name == "email" and value and not _EMAIL.fullmatch(value.strip()):
            message = f"Email address {value} is invalid"
            yield BadValue("INVALID_EMAIL", name, message)
        elif options and value and value not in options:
            message = f"{value} was not one of the allowed options: {options}"
            yield BadValue("INVALID_OPTION", name, message)


def _written(objects: Objects, planned: Planned, *, creates: bool) -> dict[str, Any]:
    given = planned.given
    properties = given.properties
    if planned.is_new and given.id_property is not None:
        properties = {given.id_property: given.id} | properties
    result = objects.put(planned.record_id, properties).shown()
    if creates:
        result["new"] = planned.is_new
    if given.trace_id is not None:
        result["objectWriteTraceId"] = given.trace_id
    return result


def _in_no_order(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return random.Random(_SEED).sample(results, len(results))  # noqa: S311 - no secret
