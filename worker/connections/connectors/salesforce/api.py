"""Salesforce's HTTP: what is asked of an org, and which answers are failures."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import quote

from worker.connections.connectors.bisection import Unclear, at_most, looked_up
from worker.connections.connectors.connector import (
    Access,
    Ambiguous,
    Http,
    Kind,
    Reply,
)
from worker.connections.connectors.errors import (
    ConnectorError,
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
_MATCHES_MAX = 2_000
"""Records that are read for addresses or websites: one page of Salesforce's."""
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
            return self._object(path)
        except Refused as refused:
            raise _missing(refused) from refused

    def _object(self, path: str) -> Any:  # noqa: ANN401 - whatever it answers
        told = self.send("GET", path)
        if not isinstance(told, dict):
            raise Unavailable("Salesforce answered without an object")
        return told

    def query(self, soql: str, *, deleted: bool = False) -> Iterator[Record]:
        """Records by SOQL, page by page; those in the recycle bin too if asked."""
        try:
            yield from self._queried(soql, deleted=deleted)
        except Refused as refused:
            raise _missing(refused) from refused

    def _queried(self, soql: str, *, deleted: bool) -> Iterator[Record]:
        verb = "queryAll" if deleted else "query"
        page = self._object(f"/{verb}?q={_quoted(soql)}")
        while True:
            records = page.get("records") if isinstance(page, dict) else None
            if not isinstance(records, list):
                raise Unavailable("Salesforce answered without records")
            yield from records
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
        deleted: bool = False,
    ) -> Iterator[Record]:
        """Records of which a field has one of these values, however many they are."""
        for asked in self._asked(kind, names, field, values, ""):
            yield from self._selected(asked, deleted=deleted)

    def _selected(self, asked: "_Asked", *, deleted: bool) -> Iterator[Record]:
        """Records of one question, of fewer values at once where that hits a limit."""
        try:
            found = list(self._queried(asked.soql(asked.values), deleted=deleted))
        except Refused as refused:
            if len(asked.values) == 1 or not is_crowded(refused.errors):
                raise _missing(refused) from refused
        else:
            yield from found
            return
        middle = len(asked.values) // 2
        for half in (asked.values[:middle], asked.values[middle:]):
            yield from self._selected(asked._replace(values=half), deleted=deleted)

    def matches(
        self,
        kind: Kind,
        names: Sequence[str],
        field: str,
        values: Sequence[str],
        *,
        also: str,
    ) -> tuple[list[Record], dict[str, Ambiguous]]:
        """The same of values that are nobody's key, and those nothing is told of.

        A value may be so common that Salesforce refuses the query, or answers with
        more than can be read.
        """
        found: list[Record] = []
        unclear: dict[str, Ambiguous] = {}
        for asked in self._asked(kind, names, field, values, also):
            records, untold = looked_up(asked.values, partial(self._matched, asked))
            found += records
            unclear |= untold
        return found, unclear

    def _matched(self, asked: "_Asked", values: Sequence[str]) -> list[Record]:
        try:
            return at_most(
                self._queried(asked.soql(values), deleted=False), _MATCHES_MAX
            )
        except Refused as refused:
            if is_passing(refused.errors):
                raise _missing(refused) from refused
            raise Unclear(f"Salesforce: {refused}") from refused

    def _asked(
        self,
        kind: Kind,
        names: Sequence[str],
        field: str,
        values: Sequence[str],
        also: str,
    ) -> Iterator["_Asked"]:
        """Questions for all these values, none of them too long for a URL."""
        begin = f"SELECT {', '.join(names)} FROM {TYPES[kind].name} WHERE {field} IN ("  # noqa: S608 - SOQL of our own names; values are quoted
        room = _URL_MAX - len(_quoted(begin + also))
        batch: list[str] = []
        used = 0
        for value in dict.fromkeys(values):
            size = len(_quoted(f"{literal_of(value)},"))
            if batch and used + size > room:
                yield _Asked(begin, batch, also)
                batch, used = [], 0
            batch.append(value)
            used += size
        if batch:
            yield _Asked(begin, batch, also)

    def link(self, kind: Kind, their_id: str) -> str:
        """Where people see a record."""
        return f"{self._url}/lightning/r/{TYPES[kind].name}/{their_id}/view"


class _Asked(NamedTuple):
    """One question for records with some of many values."""

    begin: str
    values: list[str]
    also: str

    def soql(self, values: Sequence[str]) -> str:
        """The query, of these values."""
        return f"{self.begin}{','.join(map(literal_of, values))}){self.also}"


def _missing(refused: Refused) -> ConnectorError:
    """What a refusal means where what was asked for must be there."""
    if is_passing(refused.errors) or is_crowded(refused.errors):
        return Unavailable(f"Salesforce: {refused}")
    return Misconfigured("not_found", f"Salesforce: {refused}")


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
