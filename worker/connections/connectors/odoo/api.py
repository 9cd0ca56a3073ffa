"""Odoo's JSON-2 API: one POST a call, named arguments, and what its statuses mean."""

import hashlib
from typing import Any

from worker.connections.connectors.connector import Access, Http, Kind, Reply
from worker.connections.connectors.errors import (
    Misconfigured,
    Throttled,
    Unauthorized,
    Unavailable,
)
from worker.connections.connectors.http_answers import raise_if_blocked, retry_after_s
from worker.connections.connectors.odoo.load_errors import is_passing

MODULE = "holdfast"
"""The module that our external ids belong to."""

_THROTTLED_S = 10.0
_NAME_MAX = 120
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
_UNKNOWN_FIELD = "Invalid field"
_NO_ACCIDENTS = frozenset(
    {
        "AssertionError",
        "AttributeError",
        "IndexError",
        "KeyError",
        "TypeError",
        "ValueError",
        "CheckViolation",
        "DataError",
        "NotNullViolation",
        "NumericValueOutOfRange",
        "StringDataRightTruncation",
        "UniqueViolation",
    }
)
"""Names of errors in a 500 that the same would end in, however often it is tried."""
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404
_TOO_LARGE, _UNPROCESSABLE, _TOO_MANY, _BROKEN = 413, 422, 429, 500


def external_id(kind: Kind, our_id: str) -> str:
    """The name of our key: no two ids have the same, and it holds no dot or space."""
    encoded = "".join(
        letter
        if letter in _PLAIN
        else "".join(f"_{byte:02x}" for byte in letter.encode())
        for letter in our_id
    )
    if len(encoded) > _NAME_MAX:
        # Two underscores stand in no other.
        encoded = f"__{hashlib.sha256(our_id.encode()).hexdigest()}"
    return f"{kind}_{encoded}"


class Refused(Misconfigured):
    """Odoo did nothing of a call, for the sake of what was in it."""

    def __init__(self, words: str) -> None:
        self.words = words
        super().__init__("rejected", f"Odoo: {words}")


class OdooApi:
    """Calls methods of models, as the connection's user."""

    def __init__(self, http: Http, access: Access) -> None:
        self._http = http
        self._url = str(access.settings["url"]).rstrip("/")
        self._headers = {"Authorization": f"bearer {access.secrets['api_key']}"}
        if database := access.settings.get("database"):
            self._headers["X-Odoo-Database"] = str(database)

    def link(self, id_: int) -> str:
        """Where a partner can be seen."""
        return f"{self._url}/odoo/contacts/{id_}"

    def read(
        self,
        model: str,
        domain: list[Any],
        fields: list[str],
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """Records that fit, those that were archived included, up to a limit."""
        found: list[dict[str, Any]] = self.call(
            model,
            "search_read",
            domain=domain,
            fields=fields,
            order="id",
            limit=limit,
            context={"active_test": False},
        )
        return found

    def call(self, model: str, method: str, **arguments: Any) -> Any:  # noqa: ANN401 - whatever the method answers
        """What a method answers. Raises a `ConnectorError`, `Refused` among them."""
        reply = self._http.ask(
            "POST",
            f"{self._url}/json/2/{model}/{method}",
            headers=self._headers,
            body=arguments,
        )
        if reply.status != _OK:
            raise _error_of(reply)
        if reply.json is None:
            raise Unavailable("Odoo answered with no JSON")
        return reply.json


def _error_of(reply: Reply) -> Exception:
    """What a status means; of the body's `debug`, a stack trace, nothing is kept.

    A transaction that lost against another one is told with 409, or as whatever error
    it surfaced in: its words count.
    """
    body = reply.json if isinstance(reply.json, dict) else {}
    words = str(body.get("message") or f"answered with {reply.status}")[:500]
    name = str(body.get("name", "")).rpartition(".")[2]
    raise_if_blocked(reply, "Odoo")
    pause_s = retry_after_s(reply.headers)
    if reply.status in {_UNPROCESSABLE, _BROKEN} and is_passing(f"{name} {words}"):
        return Unavailable(f"Odoo: {words}", pause_s)
    match reply.status:
        case status if status == _UNAUTHORIZED:
            return Unauthorized(f"Odoo does not take the key: {words}")
        case status if status == _FORBIDDEN:
            return Misconfigured("forbidden", f"Odoo: {words}")
        case status if status == _NOT_FOUND:
            return Misconfigured("not_found", f"Odoo: {words}")
        case status if status == _TOO_MANY:
            return Throttled(words, _THROTTLED_S if pause_s is None else pause_s)
        case status if status in {_UNPROCESSABLE, _TOO_LARGE}:
            return Refused(words)
        case status if status == _BROKEN and words.startswith(_UNKNOWN_FIELD):
            return Misconfigured("unknown_field", f"Odoo: {words}")
        case status if status == _BROKEN and name in _NO_ACCIDENTS:
            return Refused(words)
    return Unavailable(f"Odoo: {words}", pause_s)
