"""Salesforce's HTTP: what is asked of an org, and which answers are failures."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from worker.connections.connectors.connector import Access, Http, Kind, Reply
from worker.connections.connectors.errors import (
    Misconfigured,
    Throttled,
    Unauthorized,
    Unavailable,
)
from worker.connections.connectors.http_answers import raise_if_blocked, retry_after_s
from worker.connections.connectors.salesforce.row_errors import (
    code_of,
    is_crowded,
    is_passing,
    rejected_of,
)

_VERSION = "v62.0"
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY = 401, 403, 404, 429
_OK, _MOVED, _REFUSED = range(200, 300), range(300, 400), range(400, 500)
_DAY_S = 3_600.0
"""A day's calls come back hour by hour: the limit is of the last 24 hours."""
_PAUSE_S = 10.0
_URL_MAX = 7_800
"""Salesforce takes 16,384 characters, what stands before it often 8,190."""
_LIMIT_EXCEEDED, _OF_THE_DAY = "REQUEST_LIMIT_EXCEEDED", "TotalRequests"
"""The code is also that of requests at once; only the words tell which."""
_QUOTA = {"EXCEEDEDQUOTA", "EXCEEDED_QUOTA"}
_UNKNOWN = {"INVALID_FIELD", "INVALID_TYPE", "INVALID_FIELD_FOR_INSERT_UPDATE"}
_ESCAPES = str.maketrans(
    {"\\": r"\\", "'": r"\'", "\n": r"\n", "\r": r"\r", "\t": r"\t"}
    | {"\b": r"\b", "\f": r"\f"}
)
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
        self.errors = errors
        super().__init__(rejected_of(errors).message)


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

    def send(
        self, method: str, path: str, body: object = None, *, undoes: bool = False
    ) -> Any:  # noqa: ANN401 - whatever it answers
        """Ask for something below the version's path. Raises `Refused`, and errors.

        `undoes` as `Http` has it.
        """
        return self._reply(method, f"{self._data}{path}", body, undoes=undoes).json

    def csv(self, path: str) -> Reply:
        """A file of results below the version's path, and what its headers say."""
        return self._reply("GET", f"{self._data}{path}", accept="text/csv")

    def _reply(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        accept: str = "application/json",
        undoes: bool = False,
    ) -> Reply:
        headers = {**self._headers, "Accept": accept}
        reply = self._http.ask(
            method, f"{self._url}{path}", headers=headers, body=body, undoes=undoes
        )
        _check(reply)
        return reply

    def describe(self, kind: Kind) -> list[Record]:
        """The fields of a type."""
        about = self.get(f"/sobjects/{TYPES[kind].name}/describe")
        fields: list[Record] = about["fields"]
        return fields

    def get(self, path: str) -> Any:  # noqa: ANN401 - whatever it answers
        """Ask for something that must be there."""
        try:
            told = self.send("GET", path)
        except Refused as refused:
            if is_passing(refused.errors) or is_crowded(refused.errors):
                raise Unavailable(f"Salesforce: {refused}") from refused
            raise Misconfigured("not_found", f"Salesforce: {refused}") from refused
        if not isinstance(told, dict):
            raise Unavailable("Salesforce answered without an object")
        return told

    def query(self, soql: str, *, deleted: bool = False) -> Iterator[Record]:
        """Records by SOQL, page by page; those in the recycle bin too if asked."""
        verb = "queryAll" if deleted else "query"
        page = self.get(f"/{verb}?q={_quoted(soql)}")
        while True:
            yield from page["records"]
            following = page.get("nextRecordsUrl")
            if page.get("done", True) or not following:
                return
            page = self._reply("GET", str(following)).json

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
        room = _URL_MAX - len(_quoted(begin + also))
        batch: list[str] = []
        used = 0
        for value in dict.fromkeys(values):
            literal = literal_of(value)
            size = len(_quoted(f"{literal},"))
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
    return f"'{value.translate(_ESCAPES)}'"


def _quoted(soql: str) -> str:
    """A query as a URL has it; of what may stand there plainly, nothing is escaped."""
    return quote(soql, safe="',:/()")


def is_id(value: str) -> bool:
    """Whether it can be an id of Salesforce's; any other refuses a whole query."""
    return _ID.fullmatch(value) is not None


def text_of(value: object) -> str:
    """A value as it would be written."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check(reply: Reply) -> None:
    """Raise what a status means, unless it is a success."""
    if reply.status in _OK:
        return
    given = reply.json if isinstance(reply.json, list) else [reply.json]
    errors = [one for one in given if isinstance(one, dict)]
    code = code_of(errors[0]) if errors else ""
    words = str(errors[0].get("message")) if errors else f"answered {reply.status}"
    if reply.status == _UNAUTHORIZED:
        raise Unauthorized(f"Salesforce does not take the token: {words}")
    if code == _LIMIT_EXCEEDED or code in _QUOTA or reply.status == _TOO_MANY:
        daily = code in _QUOTA or words.startswith(_OF_THE_DAY)
        usual_s = _DAY_S if daily else _PAUSE_S
        pause_s = retry_after_s(reply.headers)
        raise Throttled(words, usual_s if pause_s is None else pause_s, daily=daily)
    if reply.status in _MOVED:
        there = reply.headers.get("location", "elsewhere")
        raise Misconfigured("not_found", f"Salesforce has moved the org to {there}")
    raise_if_blocked(reply, "Salesforce")
    if reply.status == _FORBIDDEN:
        raise Misconfigured("forbidden", f"Salesforce: {words}")
    if code in _UNKNOWN:
        raise Misconfigured("unknown_field", f"Salesforce: {words}")
    if reply.status == _NOT_FOUND:
        raise Misconfigured("not_found", f"Salesforce: {words}")
    if reply.status in _REFUSED and errors:
        raise Refused(errors)
    raise Unavailable(f"Salesforce {words}", retry_after_s(reply.headers))
