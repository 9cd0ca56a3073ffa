"""How HubSpot says no: to a whole request, and to one row of a batch."""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

PORTAL_ID = 4_711
_BAD_REQUEST, _NOT_FOUND, _CONFLICT = 400, 404, 409


class Refusal(Exception):
    """A no, with the status that it has where nothing of a batch is done."""

    def __init__(
        self,
        status: int,
        category: str,
        message: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        context: Mapping[str, Sequence[str]] | None = None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.category = category
        self.message = message
        self.errors = [dict(error) for error in errors]
        self.context = {name: list(values) for name, values in (context or {}).items()}
        self.more = dict(more or {})
        super().__init__(message)

    def body(self) -> dict[str, Any]:
        """The answer to a request of which nothing was done."""
        body: dict[str, Any] = {
            "status": "error",
            "message": self.message,
            "correlationId": str(uuid.uuid4()),
            "category": self.category,
            **self.more,
        }
        if self.errors:
            body["errors"] = self.errors
        if self.context:
            body["context"] = self.context
        return body

    def of_row(self, trace_id: str | None = None) -> dict[str, Any]:
        """The same, as one of the errors of a batch of which the rest was done."""
        traced = {} if trace_id is None else {"objectWriteTraceId": [trace_id]}
        return {
            "status": "error",
            "category": self.category,
            "message": self.message,
            "context": self.context | traced,
            "links": {},
            "errors": self.errors,
        }


class BadValue(NamedTuple):
    """What is wrong with the value of a property."""

    code: str
    name: str
    message: str


def malformed(message: str) -> Refusal:
    """The request is not as it must be."""
    return Refusal(_BAD_REQUEST, "VALIDATION_ERROR", message)


def bad_values(bad: Sequence[BadValue]) -> Refusal:
    """The values of one row; the vendor puts them as JSON into its message too."""
    told = [
        {
            "isValid": False,
            "message": one.message,
            "error": one.code,
            "name": one.name,
            "localizedErrorMessage": one.message,
            "portalId": PORTAL_ID,
        }
        for one in bad
    ]
    return Refusal(
        _BAD_REQUEST,
        "VALIDATION_ERROR",
        f"Property values were not valid: {json.dumps(told)}",
        errors=[
            {
                "message": one.message,
                "code": one.code,
                "context": {"propertyName": [one.name]},
            }
            for one in bad
        ],
    )


def not_unique(type_id: str, name: str) -> Refusal:
    """Only a property whose values are unique tells records apart."""
    return malformed(
        f"Unable to perform update/upsert by non-unique {type_id} property {name} "
        f"in portal ID {PORTAL_ID}"
    )


def contact_exists(existing_id: str) -> Refusal:
    """Another contact has the e-mail address."""
    message = f"Contact already exists. Existing ID: {existing_id}"
    return Refusal(_CONFLICT, "CONFLICT", message)


def value_taken(type_id: str, name: str, value: str, existing_id: str) -> Refusal:
    """Another record has the value of a property that is unique."""
    message = (
        f"Cannot set PropertyValueCoordinates{{portalId={PORTAL_ID}, "
        f"objectTypeId={type_id}, propertyName={name}, value={value}}}. "
        f"{existing_id} already has that value."
    )
    error = {
        "message": message,
        "code": "CONFLICTING_UNIQUE_VALUE",
        "context": {"propertyName": [name]},
    }
    return Refusal(_BAD_REQUEST, "VALIDATION_ERROR", message, errors=[error])


def not_found(type_: str, ids: Sequence[str]) -> Refusal:
    """There are no such records."""
    what = "CONTACT" if type_ == "contacts" else "COMPANY"
    return Refusal(
        _NOT_FOUND,
        "OBJECT_NOT_FOUND",
        f"Could not get some {what} objects, they may be deleted or not exist. "
        "Check that ids are valid.",
        context={"ids": ids},
    )
