"""Creating once by a key in a CRM that cannot upsert: one worker at a time holds it.

What was created is remembered at once, before the batch is settled: the CRM's own
search may not show it yet. Where nobody knows what became of a request, the key stays
held for as long as the CRM is given to show what it has written, and whoever holds it
next knows of the doubt, until what was made has been found or an answer has come.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from storage.connections import id_map, key_locks
from storage.connections.key_locks import Hold
from storage.database import Database
from worker.connections.connectors.connector import Kind
from worker.connections.connectors.errors import ConnectorError, Unavailable
from worker.infrastructure.clock import monotonic_s, wait

_LOOK_AGAIN_S = 0.05


class Held:
    """One held key."""

    def __init__(
        self, keys: "HeldKeys", kind: Kind, our_id: str, *, in_doubt: bool
    ) -> None:
        self.in_doubt = in_doubt
        self._keys = keys
        self._kind = kind
        self._our_id = our_id
        self.their_id = keys.remembered(kind, our_id)

    def made(self, their_id: str) -> None:
        """Remember, for whoever holds it next, what has been made by it."""
        self._keys.remember(self._kind, self._our_id, their_id)
        self.in_doubt = False


class HeldKeys:
    """Our keys in one connection's CRM.

    A hold is good for one request and for what the CRM needs to show it; `extend` is
    to be called before each.
    """

    def __init__(
        self,
        database: Database,
        connection_id: str,
        *,
        request_s: float,
        settle_s: float,
    ) -> None:
        self._database = database
        self._connection_id = connection_id
        self._hold_s = request_s + settle_s
        self._settle_s = settle_s
        self._owners: set[str] = set()

    @contextmanager
    def held(self, kind: Kind, our_id: str) -> Iterator[Held]:
        """Hold a key. Raises `Unavailable` where somebody else does not let go."""
        owner = secrets.token_hex(8)
        hold = self._take(kind, our_id, owner)
        self._owners.add(owner)
        # Whoever is killed leaves it in doubt, and so does whatever is not known to
        # have done nothing.
        doubt_s: float | None = self._settle_s
        try:
            one = Held(self, kind, our_id, in_doubt=hold is Hold.LAPSED)
            try:
                yield one
            except ConnectorError as error:
                if not (isinstance(error, Unavailable) and error.sent):
                    doubt_s = 0 if one.in_doubt else None
                raise
            doubt_s = None
        finally:
            self._owners.discard(owner)
            self._end(owner, doubt_s)

    def _end(self, owner: str, doubt_s: float | None) -> None:
        with self._database.transaction() as connection:
            if doubt_s is None:
                key_locks.let_go(connection, owner)
            else:
                key_locks.leave_in_doubt(connection, owner, after_s=doubt_s)

    def extend(self) -> None:
        """Hold on for one more request to what is held here.

        Raises `Unavailable` where somebody else has it by now: too long has passed.
        """
        if not self._owners:
            return
        with self._database.transaction() as connection:
            kept = key_locks.extend(connection, self._owners, hold_s=self._hold_s)
        if kept < len(self._owners):
            raise Unavailable("a key was held for too long", sent=False)

    def _take(self, kind: Kind, our_id: str, owner: str) -> Hold:
        deadline_s = monotonic_s() + self._settle_s + 1
        while True:
            with self._database.transaction() as connection:
                hold = key_locks.take(
                    connection,
                    self._connection_id,
                    kind,
                    our_id,
                    owner=owner,
                    hold_s=self._hold_s,
                )
            if hold is not Hold.REFUSED:
                return hold
            if monotonic_s() > deadline_s:
                message = f"another worker is at {kind} {our_id}"
                raise Unavailable(message, sent=False)
            wait(Event(), _LOOK_AGAIN_S)

    def remembered(self, kind: Kind, our_id: str) -> str | None:
        """The record that was made by a key, where that is known."""
        with self._database.transaction() as connection:
            known = id_map.of(connection, self._connection_id, kind, [our_id])
        return known[our_id].their_id if our_id in known else None

    def remember(self, kind: Kind, our_id: str, their_id: str) -> None:
        """Note what was made by a key: it has to be sent again, to that record."""
        with self._database.transaction() as connection:
            id_map.note(connection, self._connection_id, kind, our_id, their_id)
