"""The access token of a connection, refreshed by one worker at a time.

A refresh token may be good for one use: two workers that refresh at once would lose the
connection. So a lease on the connection's row says who refreshes, everybody else waits
for the new pair, and the pair is stored before anybody uses it. No transaction is open
while the vendor is asked.
"""

import json
from collections.abc import Callable
from datetime import datetime
from threading import Event
from typing import Any

from sqlalchemy.exc import OperationalError

from storage.connections import token_refresh
from storage.database import Database
from worker.connections import oauth_client
from worker.connections.connectors.errors import (
    Misconfigured,
    Unauthorized,
    Unavailable,
)
from worker.connections.oauth_client import Grant, Grantor, GrantRefused
from worker.infrastructure.clock import monotonic_s, wait, wall_s
from worker.infrastructure.errors import NotConfigured, OutboundError
from worker.infrastructure.keyring import Keyring
from worker.infrastructure.outbound_http import OutboundHttp

ACCESS_TOKEN, REFRESH_TOKEN = "access_token", "refresh_token"
EXPIRES_AT_S = "expires_at_s"
APP_REFUSED = "app_refused"
"""Why a job waits that gets no token until an operator has put the app right."""

_EARLY_S = 60.0
"""So long before its end a token is renewed: a request may take its time."""
TOKEN_S = 15.0
"""So long a token endpoint is waited for."""
_LEASE_S = 40.0
"""Longer than that: who has the lease is done, or gone."""
_LOOK_AGAIN_S = 0.05
_PAUSES_S = (0.1, 1.0, 3.0, 8.0)
"""Before a pair is stored once more: well within the lease."""


class Tokens:
    """The tokens of one connection, as this worker knows them.

    While it waits for somebody else's it calls `beat`, as before a request.
    """

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        outbound: OutboundHttp,
        grantor: Grantor | None,
        connection_id: str,
        *,
        beat: Callable[[], None],
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._outbound = outbound
        self._grantor = grantor
        self._connection_id = connection_id
        self._beat = beat
        self.version = 0
        self.secrets: dict[str, str] = {}
        self._read()
        self.used_version = self.version
        """Of which secrets the last request was: others may be there by now."""

    def current(self) -> str | None:
        """The access token to use now, a new one where its end is near.

        None for a connection that has none. Raises as `renewed` does.
        """
        used = self.secrets.get(ACCESS_TOKEN)
        ends_at_s = self.secrets.get(EXPIRES_AT_S)
        if not used or not ends_at_s or float(ends_at_s) - _EARLY_S > wall_s():
            return used
        try:
            return self.renewed(used) or used
        except (Unavailable, Misconfigured):
            # It is good for a moment yet.
            if float(ends_at_s) > wall_s():
                return used
            raise

    def renewed(self, used: str) -> str | None:
        """Another access token than the one that was `used`.

        None where there is no way to get one. Raises `Unauthorized` where the vendor
        refuses, `Unavailable` where it does not answer, and `Misconfigured` where the
        house's app is missing, or is what it refuses.
        """
        deadline_s = monotonic_s() + _LEASE_S
        while True:
            self._read()
            current = self.secrets.get(ACCESS_TOKEN)
            if current != used:
                return self._used(current)
            if not self.secrets.get(REFRESH_TOKEN):
                return None
            if self._grantor is None:
                raise Misconfigured(APP_REFUSED, "the house has no app at this CRM")
            with self._database.transaction() as connection:
                until = token_refresh.begin_refresh(
                    connection, self._connection_id, self.version, lease_s=_LEASE_S
                )
            if until is not None:
                return self._refresh(self._grantor, until)
            if monotonic_s() > deadline_s:
                raise Unavailable("another worker does not come to an end refreshing")
            self._beat()
            wait(Event(), _LOOK_AGAIN_S)

    def _refresh(self, grantor: Grantor, until: datetime) -> str | None:
        """Refresh while nobody else does, and store the pair."""
        version = self.version
        try:
            grant = oauth_client.refresh(
                self._outbound, grantor, self.secrets[REFRESH_TOKEN]
            )
        except GrantRefused as error:
            self._read()
            if self.version != version:
                # Somebody has reconnected, or came back late with a pair.
                return self._used(self.secrets.get(ACCESS_TOKEN))
            self._end(until)
            raise Unauthorized(f"the grant is not taken any more: {error}") from error
        except NotConfigured as error:
            self._end(until)
            raise Misconfigured(APP_REFUSED, f"no new token: {error}") from error
        except OutboundError as error:
            self._end(until)
            raise Unavailable(f"no new token: {error}") from error
        self._store(grant, version, until)
        # What is stored now is what everybody uses, ours or a reconnect's.
        self._read()
        return self._used(self.secrets.get(ACCESS_TOKEN))

    def _store(self, grant: Grant, version: int, until: datetime) -> None:
        """Keep a pair; a database that is gone for a moment must not cost the grant."""
        sealed = self._keyring.encrypt(json.dumps(secrets_of(grant, self.secrets)))
        for pause_s in (*_PAUSES_S, None):
            try:
                with self._database.transaction() as connection:
                    token_refresh.keep_refreshed(
                        connection,
                        self._connection_id,
                        sealed,
                        version=version,
                        until=until,
                        url=grant.url,
                    )
            except OperationalError:
                if pause_s is None:
                    raise
                wait(Event(), pause_s)
            else:
                return

    def _used(self, token: str | None) -> str | None:
        """A token that is about to be used; without one, nothing will be."""
        if token is not None:
            self.used_version = self.version
        return token

    def _end(self, until: datetime) -> None:
        with self._database.transaction() as connection:
            token_refresh.end_refresh(connection, self._connection_id, until)

    def _read(self) -> None:
        with self._database.transaction() as connection:
            kept = token_refresh.kept_secrets(connection, self._connection_id)
        if kept is None:
            raise Unauthorized("the connection was taken away")
        self.version = kept.version
        self.secrets = json.loads(self._keyring.decrypt(kept.sealed))


def secrets_of(grant: Grant, before: dict[str, str] | None = None) -> dict[str, str]:
    """A grant as it is kept; the refresh token of `before` where it gives no other."""
    kept: dict[str, Any] = dict(before or {}) | {ACCESS_TOKEN: grant.access_token}
    if grant.refresh_token is not None:
        kept[REFRESH_TOKEN] = grant.refresh_token
    kept.pop(EXPIRES_AT_S, None)
    if grant.expires_at_s is not None:
        kept[EXPIRES_AT_S] = str(grant.expires_at_s)
    return kept
