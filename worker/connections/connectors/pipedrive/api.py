"""Pipedrive's HTTP: what is asked of an account, and which answers are failures.

Each request costs tokens of a day's budget that all apps share: a record 1, a list 10,
a search 20, a write 5. So nothing is searched for that a list of ids can answer.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from worker.connections.connectors.bisection import Unclear
from worker.connections.connectors.connector import (
    Access,
    Http,
    Kind,
    Limit,
    Rejected,
    Reply,
)
from worker.connections.connectors.errors import (
    Misconfigured,
    Throttled,
    Unauthorized,
    Unavailable,
)
from worker.connections.connectors.http_answers import raise_if_blocked, retry_after_s

GONE = {404, 410}
_UNAUTHORIZED, _UNPAID, _FORBIDDEN, _NOT_FOUND, _TOO_MANY = 401, 402, 403, 404, 429
_OK, _REFUSED = range(200, 300), range(400, 500)
_PASSING = {408, 423, 425}
_PASSING_WORDS = re.compile(
    r"deadlock|lock wait|timed out|temporarily unavailable|too many requests",
    re.IGNORECASE,
)
"""What is nobody's fault, in whichever refusal it stands."""
_STOPS = ("scope", "feature_capping")
"""What a 403 says that concerns all requests alike, and not one record."""
_WINDOW_S = 2.0
_DAY_S = 3_600.0
"""A day's budget comes back at the start of the account's next day: one question an
hour learns of it soon."""
_IDS_MAX = 100
_PAGE_MAX = 500
_DAILY = "daily"
_TOKENS_LEFT, _REQUESTS_LEFT = (
    "x-daily-ratelimit-token-remaining",
    "x-daily-requests-left",
)
"""Which of the two an answer has depends on the account and on its age."""
_SEARCH_LANE = "search"
"""Searches have a burst of their own, which is the same on every plan."""
_SEARCH_TRIES = 3
_FOUND_MAX = 2_000
"""Records that one search may find: each hundred of them costs ten tokens more."""
_PENALTY_MAX_S = 10.0
"""So long a search that came too soon is waited for where it stands: to begin anew
would spend the tokens of all searches before it once more."""
_MARKETING = "marketing_status"

Record = Mapping[str, Any]


class Type(NamedTuple):
    """What Pipedrive calls a kind of record: in paths, of fields, and on screens."""

    name: str
    fields: str
    screen: str


TYPES: Mapping[Kind, Type] = {
    Kind.COMPANY: Type("organizations", "organizationFields", "organization"),
    Kind.PERSON: Type("persons", "personFields", "person"),
}


class Refused(Exception):
    """A request was understood and not done, in Pipedrive's words."""

    def __init__(self, status: int, body: Record) -> None:
        self.status = status
        self.rejected = _rejected(status, body)
        super().__init__(self.rejected.message)

    @property
    def misconfigured(self) -> Misconfigured:
        """What it means where nothing goes on without what was asked for."""
        code = "forbidden" if self.status == _FORBIDDEN else "not_found"
        return Misconfigured(code, f"Pipedrive: {self}")


class PipedriveApi:
    """Asks one account."""

    def __init__(
        self, http: Http, access: Access, wait: Callable[[float], None]
    ) -> None:
        self._http = http
        self._wait = wait
        self._url = str(access.settings["url"]).rstrip("/")
        token = access.secrets.get("api_token")
        self._headers = {"x-api-token": token} if token else {}
        self._has_marketing = True
        self._currency = ""

    def ask(
        self, method: str, path: str, body: object = None, **query: object
    ) -> Record:
        """An answer that says it is one of success. Raises `Refused`, and errors."""
        address = f"{self._url}{path}"
        if query:
            address = f"{address}?{urlencode(query, quote_via=quote)}"
        is_search = path.endswith("/search")
        lane = _SEARCH_LANE if is_search else ""
        reply = self._http.ask(
            method, address, headers=self._headers, body=body, lane=lane
        )
        self._notice(reply.headers, lane)
        return _answer(reply, _cost_of(method, path))

    def get(self, path: str, **query: object) -> Record:
        """Ask for something that must be there."""
        try:
            return self.ask("GET", path, **query)
        except Refused as refused:
            raise refused.misconfigured from refused

    def pages(self, path: str) -> Iterator[Record]:
        """All that a list has, page by page."""
        query: dict[str, object] = {"limit": _PAGE_MAX}
        while True:
            page = self.get(path, **query)
            yield from page.get("data") or ()
            cursor = _next(page)
            if not cursor:
                return
            query["cursor"] = cursor

    def record(self, kind: Kind, their_id: str) -> Record:
        """One record. Raises `Refused` where it is not there."""
        path = f"/api/v2/{TYPES[kind].name}/{their_id}"
        record: Record = self.ask("GET", path).get("data") or {}
        return record

    def left_out(self, kind: Kind, their_id: str) -> Record | None:
        """A record that no list shows; None where it was deleted.

        Lists leave out what the connection's user may not see as they do what was
        deleted. Of such a record there is nothing but its id.
        """
        if not their_id.isdecimal():
            return None
        try:
            path = f"/api/v2/{TYPES[kind].name}/{their_id}"
            record: Record = self._with_consent(kind, path).get("data") or {}
        except Refused as refused:
            if refused.status in GONE:
                return None
            if refused.status == _FORBIDDEN:
                return {"id": int(their_id)}
            raise refused.misconfigured from refused
        return None if record.get("is_deleted") else record

    def by_ids(self, kind: Kind, ids: Sequence[str]) -> dict[str, Record]:
        """Records that are there, by id; those that were deleted are not."""
        found: dict[str, Record] = {}
        asked = list(dict.fromkeys(one for one in ids if one.isdecimal()))
        for start in range(0, len(asked), _IDS_MAX):
            some = asked[start : start + _IDS_MAX]
            page = self._listed(kind, ",".join(some))
            for record in page.get("data") or ():
                if not record.get("is_deleted"):
                    found[str(record["id"])] = record
        return found

    def _listed(self, kind: Kind, ids: str) -> Record:
        """Records with all their fields."""
        path = f"/api/v2/{TYPES[kind].name}"
        try:
            return self._with_consent(kind, path, ids=ids, limit=_IDS_MAX)
        except Refused as refused:
            raise refused.misconfigured from refused

    def _with_consent(self, kind: Kind, path: str, **query: object) -> Record:
        """Persons with what they have agreed to, where that is kept.

        Only accounts with campaigns know of it: it is left out for good where the same
        is answered without it, and never for another reason.
        """
        if kind is not Kind.PERSON or not self._has_marketing:
            return self.ask("GET", path, **query)
        try:
            return self.ask("GET", path, include_fields=_MARKETING, **query)
        except (Refused, Misconfigured):
            answer = self.ask("GET", path, **query)
        self._has_marketing = False
        return answer

    def search(self, kind: Kind, field: str, term: str) -> list[str]:
        """The ids of records that may have exactly this value; to be looked at.

        A search of custom fields looks at all of them: there may be many. Raises
        `Unclear` where Pipedrive refuses the search, or finds too many.
        """
        path = f"/api/v2/{TYPES[kind].name}/search"
        query: dict[str, object] = {"term": term, "fields": field}
        query |= {"exact_match": "true", "limit": _PAGE_MAX}
        found: list[str] = []
        while True:
            try:
                page = self._search_page(path, query)
            except Refused as refused:
                if refused.status == _FORBIDDEN:
                    raise refused.misconfigured from refused
                raise Unclear(f"Pipedrive: {refused}", found) from refused
            items = (page.get("data") or {}).get("items") or ()
            found += [str(one["item"]["id"]) for one in items]
            cursor = _next(page)
            if not cursor:
                return found
            if len(found) >= _FOUND_MAX:
                raise Unclear(f"more than {_FOUND_MAX:,} records have it", found)
            query["cursor"] = cursor

    def _search_page(self, path: str, query: Mapping[str, object]) -> Record:
        for _ in range(_SEARCH_TRIES - 1):
            try:
                return self.ask("GET", path, **query)
            except Throttled as throttled:
                if throttled.daily or throttled.until_s > _PENALTY_MAX_S:
                    raise
                self._wait(throttled.until_s)
        return self.ask("GET", path, **query)

    def currency(self) -> str:
        """The usual currency of whoever we are there."""
        if not self._currency:
            me = self.get("/v1/users/me").get("data") or {}
            self._currency = str(me.get("default_currency") or "")
        return self._currency

    def link(self, kind: Kind, their_id: str) -> str:
        """Where people see a record."""
        return f"{self._url}/{TYPES[kind].screen}/{their_id}"

    def _notice(self, headers: Mapping[str, str], lane: str) -> None:
        limit = headers.get("x-ratelimit-limit", "")
        if limit.isdecimal() and int(limit) > 0:
            left = headers.get("x-ratelimit-remaining", "")
            remaining = int(left) if left.isdecimal() else None
            self._http.notice(Limit(int(limit), _WINDOW_S, remaining), lane)


def _next(page: Record) -> str:
    """Where the next page of a list begins; empty after the last."""
    return str((page.get("additional_data") or {}).get("next_cursor") or "")


def _cost_of(method: str, path: str) -> int:
    """The tokens that a request costs."""
    last = path.rpartition("/")[2]
    if method != "GET":
        return 5
    if last == "search" or path.startswith("/v1/"):
        return 20
    return 1 if last.isdecimal() else 10


def _answer(reply: Reply, cost: int) -> Record:
    body: Record = reply.json if isinstance(reply.json, dict) else {}
    words = str(body.get("error") or f"answered with {reply.status}")
    if reply.status in _OK and body.get("success") is True:
        return body
    if reply.status == _UNAUTHORIZED:
        raise Unauthorized(f"Pipedrive does not take the token: {words}")
    if reply.status == _TOO_MANY:
        raise _throttled(reply.headers, words, cost)
    raise_if_blocked(reply, "Pipedrive")
    if reply.status == _UNPAID or (reply.status == _FORBIDDEN and _stops(body)):
        raise Misconfigured("forbidden", f"Pipedrive: {words}")
    if reply.status == _NOT_FOUND and not body:
        raise Misconfigured("not_found", "there is no Pipedrive at the URL that is set")
    passing = reply.status in _PASSING or _PASSING_WORDS.search(words)
    is_told = body.get("success") is False and reply.status in (*_OK, *_REFUSED)
    if is_told and not passing:
        raise Refused(reply.status, body)
    raise Unavailable(f"Pipedrive {words}", retry_after_s(reply.headers))


def _stops(body: Record) -> bool:
    """Whether a 403 means that the connection lacks a right, or the plan a feature."""
    said = " ".join(str(body.get(name)) for name in ("error", "error_info", "code"))
    return any(word in said.lower() for word in _STOPS)


def _throttled(headers: Mapping[str, str], words: str, cost: int) -> Throttled:
    needed = {_TOKENS_LEFT: cost, _REQUESTS_LEFT: 1}
    is_daily = any(
        headers.get(name, "").isdecimal() and int(headers[name]) < least
        for name, least in needed.items()
    )
    if is_daily or _DAILY in words.lower():
        return Throttled(words, _DAY_S, daily=True)
    names = ("retry-after", "x-ratelimit-reset")
    given = (retry_after_s(headers, name) for name in names)
    return Throttled(
        words, max((one for one in given if one is not None), default=_WINDOW_S)
    )


_CODES = (
    ("email", "invalid_email"),
    ("option", "invalid_option"),
    ("required", "missing_value"),
    ("too long", "column_too_large"),
    ("not found", "not_found"),
)
"""What an error says somewhere, and what we call that."""

_FIELD = re.compile(r"'([a-z_]+|[0-9a-f]{40})'")
"""A field's code in the words of an error, which may quote a value as well."""

_OF_STATUS = {_FORBIDDEN: "forbidden", **dict.fromkeys(GONE, "not_found")}


def _rejected(status: int, body: Record) -> Rejected:
    words = str(body.get("error") or "Pipedrive does not say why")
    info = str(body.get("error_info") or "")
    low = words.lower()
    code = next((code for part, code in _CODES if part in low), "invalid_value")
    code = _OF_STATUS.get(status, code)
    named = _FIELD.search(words)
    field = body.get("field") or (named[1] if named else None)
    message = f"{words} {info}".strip()
    return Rejected(code=code, message=message, field=str(field) if field else None)
