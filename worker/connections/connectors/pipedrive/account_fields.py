"""The fields of a Pipedrive account: which there are, our key, and labels."""

from collections.abc import Mapping

from worker.connections.connectors.connector import Field, Keys, Kind
from worker.connections.connectors.errors import Misconfigured
from worker.connections.connectors.pipedrive.api import (
    TYPES,
    PipedriveApi,
    Record,
    Refused,
)
from worker.connections.connectors.pipedrive.field_values import TAKEN_TYPES

KEY_NAME = "Holdfast id"
"""What the custom field for our key is called; its code is Pipedrive's own."""
LABELS = "label_ids"

_KEY_TYPE = "varchar"
_ALIASES = {"emails": "email", "phones": "phone"}
_BOTH = {"name", "owner_id", "visible_to", LABELS}
_OWN: Mapping[Kind, set[str]] = {
    Kind.COMPANY: {*_BOTH, "address"},
    Kind.PERSON: {*_BOTH, "emails", "phones", "org_id", "marketing_status"},
}
"""What may be written beside custom fields. Many more are listed, and are computed."""


class AccountFields:
    """The fields of one account, asked for once, and again where some were made."""

    def __init__(self, api: PipedriveApi, keys: Keys) -> None:
        self._api = api
        self._keys = keys
        self._described: dict[Kind, list[Record]] = {}

    def all(self, kind: Kind, *, anew: bool = False) -> list[Record]:
        """What is said of each."""
        if anew or kind not in self._described:
            path = f"/api/v2/{TYPES[kind].fields}"
            self._described[kind] = list(self._api.pages(path))
        return self._described[kind]

    def offered(self, kind: Kind) -> Mapping[str, Field]:
        """Those that a mapping may name, by code."""
        offered = (_field(kind, about) for about in self.all(kind, anew=True))
        return {field.name: field for field in offered}

    def key(self, kind: Kind) -> str | None:
        """The code of the field for our key; None where there is none yet.

        Raises `Misconfigured` where what is called so can hold no key.
        """
        named = [one for one in self.all(kind) if one.get("field_name") == KEY_NAME]
        if len(named) > 1:
            words = f"{TYPES[kind].name} have several fields {KEY_NAME!r}: keep one"
            raise Misconfigured("unknown_field", words)
        for one in named:
            if one.get("field_type") != _KEY_TYPE or not one.get("is_custom_field"):
                words = (
                    f"{TYPES[kind].name} have a field {KEY_NAME!r} that is no custom "
                    f"field of single-line text ({_KEY_TYPE}): rename it"
                )
                raise Misconfigured("unknown_field", words)
            return str(one["field_code"])
        return None

    def make_key(self, kind: Kind) -> None:
        """Make the field for our key where it is not there yet."""
        if self.key(kind) is not None:
            return
        with self._keys.held(kind, KEY_NAME):
            # Another worker may have made it meanwhile.
            self.all(kind, anew=True)
            if self.key(kind) is None:
                wanted = {"field_name": KEY_NAME, "field_type": _KEY_TYPE}
                self._make(f"/api/v2/{TYPES[kind].fields}", wanted)
                self._described.pop(kind, None)

    def label(self, kind: Kind, name: str) -> int:
        """The id of a label, which is made where it is not there yet."""
        there = self._label_there(kind, name)
        if there is None:
            with self._keys.held(kind, f"label {name}"):
                there = self._label_there(kind, name, anew=True)
                if there is None:
                    path = f"/api/v2/{TYPES[kind].fields}/{LABELS}/options"
                    self._make(path, [{"label": name}])
                    there = self._label_there(kind, name, anew=True)
        if there is None:
            raise Misconfigured("not_found", f"Pipedrive makes no label {name!r}")
        return there

    def _label_there(self, kind: Kind, name: str, *, anew: bool = False) -> int | None:
        for field in self.all(kind, anew=anew):
            if field.get("field_code") == LABELS:
                for option in field.get("options") or ():
                    if str(option.get("label")).casefold() == name.casefold():
                        return int(option["id"])
        return None

    def _make(self, path: str, wanted: object) -> None:
        """Make a field or a label. Raises `Misconfigured` where that is refused."""
        try:
            self._api.ask("POST", path, wanted)
        except Refused as refused:
            code = refused.rejected.code
            code = code if code == "forbidden" else "unknown_field"
            words = f"Pipedrive makes none of {wanted}: {refused}"
            raise Misconfigured(code, words) from refused


def _field(kind: Kind, about: Record) -> Field:
    code = str(about["field_code"])
    type_ = str(about.get("field_type") or "")
    return Field(
        name=_ALIASES.get(code, code),
        label=str(about.get("field_name") or code),
        type=type_,
        required=code == "name",
        read_only=not _is_writable(kind, code, about),
        options=tuple(str(one["label"]) for one in about.get("options") or ()),
        separator="," if type_ == "set" else None,
    )


def _is_writable(kind: Kind, code: str, about: Record) -> bool:
    """Whether a value may be sent; not all accounts say so themselves."""
    said = about.get("is_writable")
    if isinstance(said, bool) and not said:
        return False
    if about.get("is_custom_field"):
        return about.get("field_type") in TAKEN_TYPES
    return said is True or code in _OWN[kind]
