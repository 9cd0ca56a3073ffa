"""Salesforce's HTTP: what is asked of an org, and which answers are failures."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from worker.connectors import Access, Content, Http, Kind, Rejected, Reply
from worker.connectors.errors import (
    Misconfigured,
    Throttled,
    Unauthorized,
    Unavailable,
)

KEY = "Holdfast_Id__c"
"""The external id field that holds our id; an admin of the org makes it."""

_VERSION = "v62.0"
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY = 401, 403, 404, 429
_OK, _REFUSED = range(200, 300), range(400, 500)
_DAY_S = 3_600.0
"""A day's calls come back hour by hour: the limit is of the last 24 hours."""
_PAUSE_S = 10.0
_URL_MAX = 7_000
"""Salesforce takes 16,384 characters, what stands before it often 8,190."""
_LIMIT_EXCEEDED = {"REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."}
_UNKNOWN = {"INVALID_FIELD", "INVALID_TYPE", "INVALID_FIELD_FOR_INSERT_UPDATE"}
_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")

Record = Mapping[str, Any]


class Type(NamedTuple):
    """What Salesforce calls a kind of record, and what it may be known by."""

    name: str
    match: str


TYPES: Mapping[Kind, Type] = {
    Kind.COMPANY: Type("Account", "Website"),
    Kind.PERSON: Type("Contact", "Email"),
}


class Refused(Exception):
    """A request was understood and not done, in Salesforce's words."""

    def __init__(self, errors: Sequence[Record]) -> None:
        self.rejected = rejected_of(errors)
        super().__init__(self.rejected.message)


class SalesforceApi:
    """Asks one org."""

    def __init__(self, http: Http, access: Access) -> None:
        self._http = http
        self._url = str(access.settings["url"]).rstrip("/")
        version = str(access.settings.get("api_version") or _VERSION)
        self._data = f"/services/data/{version}"
        self._headers: dict[str, str] = {}
        if str(access.settings.get("allow_duplicates", "")).lower() == "true":
            self._headers["Sforce-Duplicate-Rule-Header"] = "allowSave=true"

    def send(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - whatever it answers
        """Ask for something below the version's path. Raises `Refused`, and errors."""
        return self.reply(method, f"{self._data}{path}", body).json

    def reply(self, method: str, path: str, body: object = None) -> Reply:
        """The same, with a path from the root, and all of the answer."""
        headers = dict(self._headers)
        if isinstance(body, Content) or path.endswith("Results"):
            headers["Accept"] = "text/csv, application/json"
        reply = self._http.ask(method, f"{self._url}{path}", headers=headers, body=body)
        _check(reply)
        return reply

    @property
    def data(self) -> str:
        """The version's path."""
        return self._data

    def describe(self, kind: Kind) -> list[Record]:
        """The fields of a type."""
        about = self.get(f"/sobjects/{TYPES[kind].name}/describe")
        fields: list[Record] = about["fields"]
        return fields

    def get(self, path: str) -> Any:  # noqa: ANN401 - whatever it answers
        """Ask for something that must be there."""
        try:
            return self.send("GET", path)
        except Refused as refused:
            raise Misconfigured("not_found", f"Salesforce: {refused}") from refused

    def query(self, soql: str, *, deleted: bool = False) -> Iterator[Record]:
        """Records by SOQL, page by page; those in the recycle bin too if asked."""
        verb = "queryAll" if deleted else "query"
        page = self.get(f"/{verb}?q={quote(soql, safe='')}")
        while True:
            yield from page["records"]
            following = page.get("nextRecordsUrl")
            if page.get("done", True) or not following:
                return
            page = self.reply("GET", str(following)).json

    def select(
        self,
        kind: Kind,
        names: Sequence[str],
        field: str,
        values: Sequence[str],
        *,
        also: str = "",
        deleted: bool = False,
    ) -> Iterator[Record]:
        """Records of which a field has one of these values, however many they are."""
        begin = f"SELECT {', '.join(names)} FROM {TYPES[kind].name} WHERE {field} IN ("  # noqa: S608 - SOQL of our own names; values are quoted
        room = _URL_MAX - len(quote(begin + also))
        batch: list[str] = []
        used = 0
        for value in dict.fromkeys(values):
            literal = literal_of(value)
            size = len(quote(f"{literal},", safe=""))
            if batch and used + size > room:
                yield from self.query(
                    f"{begin}{','.join(batch)}){also}", deleted=deleted
                )
                batch, used = [], 0
            batch.append(literal)
            used += size
        if batch:
            yield from self.query(f"{begin}{','.join(batch)}){also}", deleted=deleted)

    def link(self, kind: Kind, their_id: str) -> str:
        """Where people see a record."""
        return f"{self._url}/lightning/r/{TYPES[kind].name}/{their_id}/view"


def literal_of(value: str) -> str:
    """A text as SOQL has it."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def is_id(value: str) -> bool:
    """Whether it can be an id of Salesforce's; any other refuses a whole query."""
    return _ID.fullmatch(value) is not None


def text_of(value: object) -> str:
    """A value as it would be written."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


_CODES = {
    "DUPLICATES_DETECTED": "duplicate",
    "DUPLICATE_VALUE": "conflict",
    "DUPLICATE_EXTERNAL_ID": "conflict",
    "INVALID_EMAIL_ADDRESS": "invalid_email",
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": "invalid_option",
    "REQUIRED_FIELD_MISSING": "missing_value",
    "STRING_TOO_LONG": "column_too_large",
    "ENTITY_IS_DELETED": "not_found",
    "INVALID_CROSS_REFERENCE_KEY": "not_found",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": "validation_rule",
    "JSON_PARSER_ERROR": "invalid_value",
}


def rejected_of(errors: Sequence[Record]) -> Rejected:
    """Why a row was not written, by the first of its errors."""
    first = errors[0] if errors else {}
    code = str(first.get("statusCode") or first.get("errorCode") or "")
    fields = first.get("fields") or ()
    return Rejected(
        code=_CODES.get(code, "invalid_value"),
        message=str(first.get("message") or code or "Salesforce does not say why"),
        field=str(fields[0]) if fields else None,
    )


def _check(reply: Reply) -> None:
    """Raise what a status means, unless it is a success."""
    if reply.status in _OK:
        return
    errors = [one for one in reply.json or () if isinstance(one, dict)]
    code = str(errors[0].get("errorCode")) if errors else ""
    words = str(errors[0].get("message")) if errors else f"answered {reply.status}"
    if reply.status == _UNAUTHORIZED:
        raise Unauthorized(f"Salesforce does not take the token: {words}")
    if code in _LIMIT_EXCEEDED:
        raise Throttled(words, _DAY_S, daily=True)
    if reply.status == _TOO_MANY:
        raise Throttled(words, _PAUSE_S)
    if reply.status == _FORBIDDEN:
        raise Misconfigured("forbidden", f"Salesforce: {words}")
    if code in _UNKNOWN:
        raise Misconfigured("unknown_field", f"Salesforce: {words}")
    if reply.status == _NOT_FOUND:
        raise Misconfigured("not_found", f"Salesforce: {words}")
    if reply.status in _REFUSED and errors:
        raise Refused(errors)
    raise Unavailable(f"Salesforce {words}")
