"""HubSpot's HTTP: who asks, what an answer says of limits, and which are failures."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from worker.connections.connectors.connector import Access, Http, Kind, Limit, Reply
from worker.connections.connectors.errors import (
    Misconfigured,
    Throttled,
    Unauthorized,
    Unavailable,
)
from worker.connections.connectors.http_answers import raise_if_blocked, retry_after_s
from worker.connections.connectors.hubspot.errors import is_passing, text_of

KEY = "holdfast_id"
"""The property that holds our id; no two records have the same."""

_VERSION = "v3"
_FAMILIES = {
    "/associations": "v4",
    "/lists": None,
    "/objects": None,
    "/owners": None,
    "/properties": None,
}
"""What is asked for; of the numbered API, those that have a number of their own."""
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TIMEOUT = 401, 403, 404, 408
_TOO_MANY_REQUESTS = 429
_PASSING = {_TIMEOUT, 423, 425, 477}
"""423: a lock of two seconds; 477: the account is being moved elsewhere. Beside them
502, 503, 504 and Cloudflare's 520 to 526, as all of 500 and more."""
_TOO_LARGE = {413, 414}
"""What fewer rows at once may not meet."""
_OK, _REFUSED = range(200, 300), range(400, 500)
_WINDOW_S = 10.0
_SEARCH_WINDOW_S = 1.0
_SEARCHES, _SEARCH_LANE = Limit(4, _SEARCH_WINDOW_S), "search"
_DAY_S = 3_600.0
"""A day's budget comes back at midnight in the account's own time zone, which we do not
know: one question an hour learns of it soon and costs the customer's apps nothing."""
_PAGE_MAX = 500


class Type(NamedTuple):
    """What HubSpot calls a kind of record: in paths, in lists, and in its screens."""

    name: str
    id: str
    match: str
    """The property that it may be known by without our key."""


TYPES: Mapping[Kind, Type] = {
    Kind.COMPANY: Type("companies", "0-2", "domain"),
    Kind.PERSON: Type("contacts", "0-1", "email"),
}


class Refused(Exception):
    """A request was understood and not done: 4xx, in HubSpot's words."""

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        self.status = status
        self.error = error
        super().__init__(text_of(error))


class HubSpotApi:
    """Asks one account."""

    def __init__(self, http: Http, access: Access) -> None:
        self._http = http
        self._url = str(access.settings["url"]).rstrip("/")
        self._version = str(access.settings.get("api_version") or _VERSION)
        self._screens: str | None = None

    def send(self, method: str, path: str, body: object = None) -> Mapping[str, Any]:
        """Ask for something of the CRM. Raises `Refused`, and errors.

        The version's place in the path is this class's business.
        """
        return self._ask(method, self._path(path), body)

    def search(self, path: str, question: object) -> Mapping[str, Any]:
        """Search. Raises `Refused`, and errors.

        Searches have a limit of their own, of which no header tells.
        """
        self._http.notice(_SEARCHES, _SEARCH_LANE)
        return self._ask("POST", self._path(path), question, _SEARCH_LANE)

    def get(self, path: str) -> Mapping[str, Any]:
        """Ask for something that must be there."""
        return self._get(self._path(path))

    def _path(self, path: str) -> str:
        """The whole path: a number stands before the family, a date behind it."""
        family = next(one for one in _FAMILIES if path.startswith(one))
        if not self._version.startswith("v"):
            return f"/crm{family}/{self._version}{path.removeprefix(family)}"
        return f"/crm/{_FAMILIES[family] or self._version}{path}"

    def pages(self, path: str) -> Iterator[Mapping[str, Any]]:
        """All that a list has, page by page."""
        after = ""
        while True:
            page = self.get(f"{path}?limit={_PAGE_MAX}{after}")
            yield from results_of(page)
            following = after_of(page)
            if following is None:
                return
            after = f"&after={following}"

    def details(self) -> Mapping[str, Any]:
        """What account it is."""
        return self._get(f"/account-info/{self._version}/details")

    def look_around(self) -> None:
        """Learn where the account's screens are.

        Done before anything is written: an answer that is lost afterwards would leave
        written rows in doubt for the sake of a link.
        """
        if self._screens is not None:
            return
        try:
            account = self.details()
        except Misconfigured:
            self._screens = ""
            return
        domain = account.get("uiDomain") or "app.hubspot.com"
        portal = account.get("portalId")
        self._screens = f"https://{domain}/contacts/{portal}" if portal else ""

    def screen(self, kind: Kind, their_id: str) -> str | None:
        """Where people see a record."""
        if not self._screens:
            return None
        return f"{self._screens}/record/{TYPES[kind].id}/{their_id}"

    def _get(self, path: str) -> Mapping[str, Any]:
        try:
            return self._ask("GET", path, None)
        except Refused as refused:
            raise Misconfigured("not_found", f"{path}: {refused}") from refused

    def _ask(
        self, method: str, path: str, body: object, lane: str = ""
    ) -> Mapping[str, Any]:
        reply = self._http.ask(
            method, f"{self._url}{path}", headers={}, body=body, lane=lane
        )
        limit = _limit(reply.headers)
        if limit is not None:
            self._http.notice(limit)
        return _answer(reply)


def results_of(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What an answer holds. Raises `Unavailable` where it is none of HubSpot's."""
    results = body.get("results")
    if not isinstance(results, list):
        raise Unavailable("HubSpot answered without results")
    return [one for one in results if isinstance(one, Mapping)]


def errors_of(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What an answer says of rows that were not done."""
    errors = body.get("errors")
    listed = errors if isinstance(errors, list) else []
    return [one for one in listed if isinstance(one, Mapping)]


def after_of(body: Mapping[str, Any]) -> str | None:
    """Where the next page begins, if there is one."""
    paging = body.get("paging")
    following = paging.get("next") if isinstance(paging, Mapping) else None
    after = following.get("after") if isinstance(following, Mapping) else None
    return None if after is None else str(after)


def _answer(reply: Reply) -> Mapping[str, Any]:
    is_json = isinstance(reply.json, Mapping)
    error: Mapping[str, Any] = reply.json if is_json else {}
    if reply.status in _OK and is_json:
        return error
    if reply.status == _UNAUTHORIZED:
        raise Unauthorized(f"HubSpot does not take the token: {text_of(error)}")
    raise_if_blocked(reply, "HubSpot")
    if reply.status == _FORBIDDEN:
        raise Misconfigured("forbidden", text_of(error))
    if reply.status == _TOO_MANY_REQUESTS:
        raise _throttled(reply, error)
    if reply.status == _NOT_FOUND and not is_json:
        raise Misconfigured("not_found", "there is no HubSpot at the URL that is set")
    passing = reply.status in _PASSING or is_passing(error)
    is_told = is_json or reply.status in _TOO_LARGE
    if reply.status in _REFUSED and is_told and not passing:
        raise Refused(reply.status, error)
    what = f"answered with {reply.status}" + ("" if is_json else " and no JSON")
    raise Unavailable(f"HubSpot {what}", retry_after_s(reply.headers))


def _throttled(reply: Reply, error: Mapping[str, Any]) -> Throttled:
    policy = str(error.get("policyName") or "")
    daily = policy == "DAILY"
    window_s = (
        _number(reply.headers, "x-hubspot-ratelimit-interval-milliseconds")
    ) or 0
    usual_s = window_s / 1_000 or _WINDOW_S
    if policy == "SECONDLY":
        usual_s = _SEARCH_WINDOW_S
    if daily:
        usual_s = _DAY_S
    until_s = retry_after_s(reply.headers)
    return Throttled(
        text_of(error), usual_s if until_s is None else until_s, daily=daily
    )


def _limit(headers: Mapping[str, str]) -> Limit | None:
    most = _number(headers, "x-hubspot-ratelimit-max")
    window_ms = _number(headers, "x-hubspot-ratelimit-interval-milliseconds")
    left = _number(headers, "x-hubspot-ratelimit-remaining")
    if not most or not window_ms:
        return None
    return Limit(int(most), window_ms / 1_000, None if left is None else int(left))


def _number(headers: Mapping[str, str], name: str) -> float | None:
    text = headers.get(name, "").strip()
    return float(text) if text.isdecimal() else None
