"""Connections opened: a connector for one of them, with its tokens and its limits.

A process makes the client and the limits when they are first needed.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection

from storage.connections import connections
from storage.connections.connections import CrmConnection
from storage.database import Database
from worker.connections import oauth_client
from worker.connections.connection_checks import BATCH_RECORDS
from worker.connections.connector_registry import BULK_ABOVE, OFFERS, Opening
from worker.connections.connectors.connector import Access, Connector
from worker.connections.connectors.errors import Misconfigured, Unauthorized
from worker.connections.crm_http import CrmHttp
from worker.connections.key_locks import HeldKeys
from worker.connections.token_refresh import TOKEN_S, Tokens
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.keyring import Keyring, Undecipherable
from worker.infrastructure.outbound_http import OutboundHttp
from worker.infrastructure.settings import Settings

if TYPE_CHECKING:
    from worker.connections.connection_limits import ConnectionLimits

_ANSWER_BYTES_MAX = 32 << 20


_SHARE_OF_A_LEASE = 2 / 3


_BULK_ABOVE = 2_000


class Opened(NamedTuple):
    """A connection that is open: what writes to its CRM, and by which tokens."""

    connector: Connector
    tokens: Tokens
    http: CrmHttp

    @contextmanager
    def asking(self) -> Iterator[Connector]:
        """Ask its CRM; secrets that it does not take are told by their version."""
        try:
            yield self.connector
        except Unauthorized as error:
            error.version = self.tokens.used_version
            raise


class ConnectionOpener:
    """Opens the connections of licenses."""

    def __init__(
        self, settings: Settings, keyring: Keyring, database: Database
    ) -> None:
        self._settings = settings
        self._database = database
        self._keyring = keyring
        self.discovered: dict[str, Any] = {}
        self.outbound = OutboundHttp(
            allow_private=settings.webhook_allow_private,
            timeout_s=min(settings.crm_timeout_s, settings.lease_s * _SHARE_OF_A_LEASE),
            response_bytes_max=_ANSWER_BYTES_MAX,
            keeps_connections=True,
        )
        self.granting = OutboundHttp(
            allow_private=settings.webhook_allow_private,
            timeout_s=min(TOKEN_S, settings.lease_s * _SHARE_OF_A_LEASE),
        )

    @cached_property
    def limits(self) -> "ConnectionLimits":
        """What lets requests through, by all workers' count."""
        from worker.connections.connection_limits import ConnectionLimits  # noqa: PLC0415 - most processes push nothing

        return ConnectionLimits(self._settings)

    def seal(self, secrets: Mapping[str, str]) -> str:
        """Secrets as they are kept."""
        return self._keyring.encrypt(json.dumps(dict(secrets)))

    def open(
        self, connection: CrmConnection, beat: Callable[[], None], run: str = ""
    ) -> Opened:
        """What writes to a connection's CRM, for a job. Raises a `ConnectorError`."""
        try:
            tokens = Tokens(
                self._database,
                self._keyring,
                self.granting,
                oauth_client.grantor_of(
                    self._settings, connection.connector, connection.settings
                ),
                connection.id,
                beat=beat,
            )
        except Undecipherable as error:
            raise Unauthorized(str(error)) from error
        keys = HeldKeys(
            self._database,
            connection.id,
            request_s=self._settings.crm_timeout_s,
            settle_s=self._settings.crm_settle_s,
        )
        http = CrmHttp(
            self.outbound,
            self.limits,
            connection.id,
            tokens,
            beat=beat,
            hold_on=keys.extend,
            discloses=OFFERS[connection.connector].discloses,
        )
        settings = self._home(connection.connector) | connection.settings
        access = Access(settings=settings, secrets=tokens.secrets)
        made = OFFERS[connection.connector].open(Opening(http, access, keys, beat, run))
        return Opened(made, tokens, http)

    def _home(self, connector: str) -> dict[str, str]:
        """Where a vendor's API is that is at the same address for all."""
        return {"url": self._settings.hubspot_api_url} if connector == "hubspot" else {}

    def close(self) -> None:
        """Close what was opened."""
        if "limits" in self.__dict__:
            self.limits.close()
        self.outbound.close()


@dataclass(frozen=True, kw_only=True)
class ConnectionDeps(Deps):
    """What use cases around connections are given: what opens them."""

    crms: ConnectionOpener


def found(connection: Connection, connection_id: str, license_id: str) -> CrmConnection:
    """A connection of a license. Raises `Misconfigured` where there is none."""
    there = connections.get(connection, connection_id)
    if there is None or there.license_id != license_id:
        raise Misconfigured("not_found", f"there is no connection {connection_id}")
    return there


def batch_records(
    connection: CrmConnection, connector: Connector, settings: Settings, records: int
) -> int:
    """How many of a push's records are sent at once; more where it has so many.

    A connector with a way for many takes a whole chunk by it.
    """
    bulk_max: int | None = getattr(connector, "bulk_max", None)
    above = int(connection.settings.get(BULK_ABOVE, _BULK_ABOVE))
    if bulk_max is not None and records > above:
        return min(settings.chunk_records, bulk_max)
    own = int(connection.settings.get(BATCH_RECORDS, settings.batch_records))
    return min(own, settings.batch_records, connector.batch_max)
