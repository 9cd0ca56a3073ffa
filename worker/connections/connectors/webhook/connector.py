"""A customer's own endpoint: signed batches of records, by any names of fields.

What was sent in full has been disclosed, so it is delivered whatever the endpoint
answers (rule 4). It is sent again a few times where that was no success; a batch has
the same id each time, so that the other end can tell, and another one in another job:
what has changed and was changed back is no repetition. Before the first batch of a run
the endpoint is asked for a plain yes: nothing is disclosed to one that says no.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from worker.connections.connectors.bisection import Poisoned, bisected
from worker.connections.connectors.connector import (
    Access,
    Content,
    Existing,
    Field,
    Http,
    Kind,
    Link,
    Match,
    Rejected,
    Reply,
    Result,
    Row,
    Wanted,
    Written,
)
from worker.connections.connectors.errors import (
    ConnectorError,
    Misconfigured,
    Throttled,
    Unavailable,
)
from worker.connections.connectors.http_answers import (
    FORBIDDEN,
    raise_if_blocked,
    retry_after_s,
)
from worker.infrastructure.ids import new_id

Sign = Callable[[str, bytes], Mapping[str, str]]
"""The headers that prove who sends a message, by its id and its body."""

_TYPES = {Kind.COMPANY: "push.companies", Kind.PERSON: "push.persons"}
_TRIES_S = (0.0, 0.25, 1.0)
"""How long to wait before each try."""
_OK, _FAILED = range(200, 300), range(500, 600)
_PASSING = {408, 423, 425, 429}
_TOO_MANY_REQUESTS = 429
_USUAL_PAUSE_S = 10.0
_HEX = 32


class _Message(NamedTuple):
    """What is posted; whoever has seen its id has seen the message."""

    id: str
    body: bytes


class Webhook:
    """Posts companies, persons and tags to one URL."""

    batch_max = 500
    owner_field = ""
    defaults: Mapping[Kind, Mapping[str, str]] = {
        Kind.COMPANY: {"company_name": "name", "company_domain": "domain"},
        Kind.PERSON: {
            name: name
            for name in ("first_name", "last_name", "title", "email", "phone")
        },
    }

    def __init__(
        self,
        http: Http,
        access: Access,
        sign: Sign,
        wait: Callable[[float], None],
        run: str,
    ) -> None:
        self._http = http
        self._url = str(access.settings["url"])
        self._sign = sign
        self._wait = wait
        self._run = run

    def test(self) -> None:
        """Ask for a plain yes; nothing is disclosed.

        Each question has an id of its own: who drops what he has seen would not answer
        the same again.
        """
        reply = self._post(_message(new_id("ping"), "push.ping", "{}"))
        if reply.status in _OK:
            return
        words = f"the endpoint answers with {reply.status}"
        if reply.status == _TOO_MANY_REQUESTS:
            pause_s = retry_after_s(reply.headers)
            raise Throttled(words, _USUAL_PAUSE_S if pause_s is None else pause_s)
        raise_if_blocked(reply, "the endpoint")
        if _passes(reply):
            raise Unavailable(words, retry_after_s(reply.headers))
        raise Misconfigured("not_accepted", words)

    def prepare(self) -> None:
        """Disclose nothing to whoever does not want it."""
        self.test()

    def fields(self, kind: Kind) -> Mapping[str, Field] | None:
        """Whatever name a mapping gives."""
        del kind
        return None

    def owner(self, named: str) -> str:
        """There are no users to give anything to."""
        raise Misconfigured("unknown_owner", f"a webhook has no owner {named!r}")

    def find(self, kind: Kind, wanted: Sequence[Wanted]) -> Mapping[str, Match]:
        """What was sent before is there: nobody can be asked."""
        del kind
        return {
            one.id: Existing(their_id=one.their_id, fields={}, has_key=True)
            for one in wanted
            if one.their_id is not None
        }

    def write(self, kind: Kind, rows: Sequence[Row]) -> Mapping[str, Result]:
        """Send rows; what was sent in full is written, whatever the answer."""
        return bisected(rows, lambda some: self._send(kind, some))

    def link(self, links: Sequence[Link]) -> Mapping[str, Rejected]:
        """Persons are sent with their company's id."""
        del links
        return {}

    def tag(self, kind: Kind, their_ids: Sequence[str], tags: Sequence[str]) -> None:
        """Say which records have which tags."""
        data = {"kind": kind.value, "ids": list(their_ids), "tags": list(tags)}
        self._post(self._message("push.tags", data))

    def _send(self, kind: Kind, rows: Sequence[Row]) -> Mapping[str, Result]:
        """One batch. Raises `Poisoned` where the endpoint did not take it in full."""
        data = {"records": [_record(row) for row in rows]}
        message = self._message(_TYPES[kind], data)
        why: Rejected | None = None
        for pause_s in _TRIES_S:
            if pause_s:
                self._wait(pause_s)
            try:
                reply = self._post(message)
            except ConnectorError as error:
                if isinstance(error, Unavailable) and error.sent:
                    why = Rejected(code="not_acknowledged", message=str(error))
                    continue
                if why is None:
                    raise
                break
            words = f"the endpoint answered with {reply.status}"
            if reply.status in _OK:
                why = None
                break
            if reply.sent:
                why = Rejected(code="not_acknowledged", message=words)
            elif why is None:
                raise Poisoned(Rejected(code="not_accepted", message=words))
            if not _passes(reply):
                break
        return {
            row.id: Written(row.id, row.their_id is None, None, why) for row in rows
        }

    def _message(self, type_: str, data: Mapping[str, object]) -> _Message:
        """A message with an id that the same message of this run has again."""
        encoded = json.dumps(data, sort_keys=True)
        content = f"[{json.dumps(self._run)}, {json.dumps(type_)}, {encoded}]"
        id_ = f"batch_{hashlib.sha256(content.encode()).hexdigest()[:_HEX]}"
        return _message(id_, type_, encoded)

    def _post(self, message: _Message) -> Reply:
        return self._http.ask(
            "POST",
            self._url,
            headers=self._sign(message.id, message.body),
            body=Content("application/json", message.body),
        )


def _passes(reply: Reply) -> bool:
    """Whether the same may be taken later; a 403 that is no JSON is a firewall's."""
    is_firewall = reply.status == FORBIDDEN and reply.json is None
    return reply.status in _FAILED or reply.status in _PASSING or is_firewall


def _message(id_: str, type_: str, encoded: str) -> _Message:
    """A message with data that is JSON already: it is encoded once."""
    head = json.dumps({"id": id_, "type": type_})[:-1]
    return _Message(id_, f'{head}, "data": {encoded}}}'.encode())


def _record(row: Row) -> dict[str, object]:
    record: dict[str, object] = {"id": row.id, "fields": dict(row.fields)}
    if row.company_their_id is not None:
        record["company_id"] = row.company_their_id
    return record
