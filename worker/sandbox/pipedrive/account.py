"""What is in a Pipedrive account: persons and organizations, and who uses it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from worker.infrastructure.clock import monotonic_s
from worker.sandbox.pipedrive.fields import WRITABLE, Field, fields_of, takes, why_not

USERS = ((11, "Ada Owner", "ada@ours.example"), (12, "Bob Owner", "bob@ours.example"))


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

    fields: list[Field]
    records: dict[int, dict[str, Any]] = field(default_factory=dict)
    changed_s: dict[int, float] = field(default_factory=dict)
    hidden: set[int] = field(default_factory=set)
    """What the user who asks may not see."""

    def alive(self) -> list[dict[str, Any]]:
        """The records that are not deleted."""
        return [one for one in self.records.values() if not one["is_deleted"]]

    def taken(self, type_: str, *, is_custom: bool) -> dict[str, Field]:
        """The fields that may be written, by code."""
        own = {name for name, _ in WRITABLE[type_]}
        return {
            one["field_code"]: one
            for one in self.fields
            if one["is_custom_field"] is is_custom
            and (is_custom or one["field_code"] in own)
            and one.get("is_writable", True)
        }

    def visible(self) -> list[dict[str, Any]]:
        """Those of them that lists and searches show."""
        return [one for one in self.alive() if one["id"] not in self.hidden]

    def one(self, id_: int) -> dict[str, Any]:
        """A record by its id, also a deleted one. Raises `Failed`."""
        if id_ in self.hidden:
            raise Failed(403, "You do not have permissions to do this")
        if id_ not in self.records:
            raise Failed(404, "Entity not found")
        return self.records[id_]


class Account:
    """Persons and organizations of one customer."""

    def __init__(self) -> None:
        self.objects = {
            "persons": Objects(fields_of("persons")),
            "organizations": Objects(fields_of("organizations")),
        }
        self.has_campaigns = True
        self._ids = count(1)

    def next_id(self) -> int:
        """An id that nothing has yet."""
        return next(self._ids)

    def keep(self, objects: Objects, record: dict[str, Any]) -> None:
        """Keep a record as it is now; searches see it later."""
        objects.records[record["id"]] = record
        objects.changed_s[record["id"]] = monotonic_s()

    def check(self, type_: str, given: Mapping[str, Any]) -> None:
        """Raise `Failed` where a record cannot be so."""
        custom = given.get("custom_fields") or {}
        own = {name: one for name, one in given.items() if name != "custom_fields"}
        for is_custom, values in ((False, own), (True, custom)):
            known = self.objects[type_].taken(type_, is_custom=is_custom)
            for name, value in values.items():
                if name not in known:
                    raise Failed(400, f"Parameter '{name}' is not allowed")
                if not takes(known[name], value):
                    raise Failed(400, why_not(known[name], value))
        org_id = given.get("org_id")
        if org_id is not None and org_id not in self.objects["organizations"].records:
            raise Failed(400, f"Parameter 'org_id': {org_id} was not found")
