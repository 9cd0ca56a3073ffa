"""Creating once by a key in a CRM that cannot upsert: one worker at a time holds it.

What was created is remembered at once, before the batch is settled: the CRM's own
search may not show it yet. Where nobody knows what became of a request, the key stays
held for as long as the CRM is given to show what it has written.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from storage import held_keys, id_map
from storage.db import Database
from storage.held_keys import Hold
from worker.clock import monotonic_s, wait
from worker.connectors import Kind
from worker.connectors.errors import Unavailable

_LOOK_AGAIN_S = 0.05
_REQUESTS = 2
"""A hold spans two requests: one that looks, and one that creates."""


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


class HeldKeys:
    """Our keys in one connection's CRM."""

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
        self._hold_s = request_s * _REQUESTS + settle_s
        self._settle_s = settle_s

    @contextmanager
    def held(self, kind: Kind, our_id: str) -> Iterator[Held]:
        """Hold a key. Raises `Unavailable` where somebody else does not let go."""
        owner = secrets.token_hex(8)
        hold = self._take(kind, our_id, owner)
        # Whoever is killed leaves it in doubt.
        after_s = self._settle_s
        try:
            yield Held(self, kind, our_id, in_doubt=hold is Hold.LAPSED)
            after_s = 0
        except Exception as error:
            # Any other answer than none is known, and so is what was never sent.
            silent = isinstance(error, Unavailable) and error.sent
            after_s = self._settle_s if silent else 0
            raise
        finally:
            with self._database.transaction() as connection:
                held_keys.let_go(connection, owner, after_s=after_s)

    def _take(self, kind: Kind, our_id: str, owner: str) -> Hold:
        deadline_s = monotonic_s() + self._settle_s + 1
        while True:
            with self._database.transaction() as connection:
                hold = held_keys.take(
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
