"""What is in a Pipedrive account: fields, records, and which values it takes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from worker.clock import monotonic_s

USERS = ((11, "Ada Owner", "ada@ours.example"), (12, "Bob Owner", "bob@ours.example"))
_ADDRESS = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


class Failed(Exception):
    """A no, in Pipedrive's words."""

    def __init__(self, status: int, error: str) -> None:
        self.status = status
        self.body = {"success": False, "error": error, "error_info": "", "code": ""}
        self.headers: dict[str, str] = {}
        super().__init__(error)


@dataclass(slots=True)
class Objects:
    """All records of one type, and its fields."""

    fields: list[dict[str, Any]]
    records: dict[int, dict[str, Any]] = field(default_factory=dict)
    changed_s: dict[int, float] = field(default_factory=dict)

    def alive(self) -> list[dict[str, Any]]:
        """The records that are not deleted."""
        return [one for one in self.records.values() if not one["is_deleted"]]

    def there(self, id_: int) -> dict[str, Any]:
        """A record by its id. Raises `Failed` where it is not there any more."""
        record = self.records.get(id_)
        if record is None or record["is_deleted"]:
            raise Failed(404, "Entity not found")
        return record


class Account:
    """Persons and organizations of one customer."""

    def __init__(self) -> None:
        self.objects = {
            "persons": Objects(_person_fields()),
            "organizations": Objects(_organization_fields()),
        }
        self._ids = count(1)

    def next_id(self) -> int:
        """An id that nothing has yet."""
        return next(self._ids)

    def keep(self, objects: Objects, record: dict[str, Any]) -> None:
        """Keep a record as it is now; searches see it later."""
        objects.records[record["id"]] = record
        objects.changed_s[record["id"]] = monotonic_s()

    def check(self, objects: Objects, given: Mapping[str, Any]) -> None:
        """Raise `Failed` where a record cannot be so."""
        known = {one["field_code"]: one for one in objects.fields}
        custom = given.get("custom_fields") or {}
        for name in (*custom, *(one for one in given if one != "custom_fields")):
            if name not in known:
                raise Failed(400, f"Parameter '{name}' is not allowed")
        for entry in given.get("emails") or ():
            if not _ADDRESS.fullmatch(entry["value"]):
                raise Failed(400, f"'emails' has no valid email: {entry['value']}")
        for name, value in given.items():
            options = known.get(name, {}).get("options")
            allowed = {one["id"] for one in options or ()}
            values = value if isinstance(value, list) else [value]
            if options and name != "label_ids" and not {*values} <= {*allowed, None}:
                raise Failed(400, f"Parameter '{name}' has an unknown option")
        org_id = given.get("org_id")
        if org_id is not None and org_id not in self.objects["organizations"].records:
            raise Failed(400, f"Parameter 'org_id': {org_id} was not found")


def described(name: str, code: str, type_: str) -> dict[str, Any]:
    """A field as its list shows it."""
    options = [{"id": 1, "label": "Lead"}, {"id": 2, "label": "Customer"}]
    return {
        "field_name": name,
        "field_code": code,
        "field_type": type_,
        "options": options if type_ in {"enum", "set"} else None,
        "is_custom_field": False,
    }


def _person_fields() -> list[dict[str, Any]]:
    usual = ("name", "emails", "phones", "job_title", "marketing_status")
    return [
        *(described(one.replace("_", " "), one, "varchar") for one in usual),
        described("Organization", "org_id", "org"),
        *_both(),
    ]


def _organization_fields() -> list[dict[str, Any]]:
    usual = ("name", "website")
    return [*(described(one, one, "varchar") for one in usual), *_both()]


def _both() -> list[dict[str, Any]]:
    return [
        described("ID", "id", "int"),
        described("Owner", "owner_id", "user"),
        described("Labels", "label_ids", "set"),
        described("Stage", "stage", "enum"),
    ]
