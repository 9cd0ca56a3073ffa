"""Connections opened: which connectors there are, and what each is given.

A process makes the client and the limits when they are first needed.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from storage import connections
from storage.connections import CrmConnection
from worker.connectors import Access, Connector, Http, Kind
from worker.connectors.errors import Misconfigured, Unauthorized
from worker.connectors.hubspot import HubSpot
from worker.connectors.odoo import Odoo
from worker.crm_http import CrmHttp
from worker.errors import bad
from worker.outbound import Outbound
from worker.secrets import Keyring, Undecipherable
from worker.settings import Settings
from worker.throttling import Throttle

_ANSWER_BYTES_MAX = 32 << 20
_SHARE_OF_A_LEASE = 2 / 3
_TEXT_MAX = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A connector that connections can be made for, and what they must say."""

    make: Callable[[Http, Access], Connector]
    defaults: Mapping[Kind, Mapping[str, str]]
    settings: frozenset[str]
    needed: frozenset[str]
    secrets: frozenset[str]


OFFERS: Mapping[str, Offer] = {
    "hubspot": Offer(
        make=HubSpot,
        defaults=HubSpot.defaults,
        settings=frozenset({"url", "version_path"}),
        needed=frozenset(),
        secrets=frozenset({"access_token"}),
    ),
    "odoo": Offer(
        make=Odoo,
        defaults=Odoo.defaults,
        settings=frozenset({"url", "database"}),
        needed=frozenset({"url"}),
        secrets=frozenset({"api_key"}),
    ),
}
"""By the name that a connection gives."""

_BATCH = "batch_records"
"""A setting of every connection: so many records at once, fewer than the most."""


class Crms:
    """Opens the connections of licenses."""

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        self._keyring = keyring
        self.throttle = Throttle(settings)
        self.outbound = Outbound(
            allow_private=settings.webhook_allow_private,
            timeout_s=min(settings.crm_timeout_s, settings.lease_s * _SHARE_OF_A_LEASE),
            response_bytes_max=_ANSWER_BYTES_MAX,
        )

    def seal(self, secrets: Mapping[str, str]) -> str:
        """Secrets as they are kept."""
        return self._keyring.encrypt(json.dumps(dict(secrets)))

    def open(
        self, connection: CrmConnection, sealed: str, beat: Callable[[], None]
    ) -> Connector:
        """What writes to a connection's CRM. Raises a `ConnectorError`."""
        try:
            secrets = json.loads(self._keyring.decrypt(sealed))
        except Undecipherable as error:
            raise Unauthorized(str(error)) from error
        http = CrmHttp(self.outbound, self.throttle, connection.id, beat)
        access = Access(settings=connection.settings, secrets=secrets)
        return OFFERS[connection.connector].make(http, access)

    def close(self) -> None:
        """Close what was opened."""
        self.throttle.close()


def found(
    connection: Connection, connection_id: str, license_id: str
) -> tuple[CrmConnection, str]:
    """A connection of a license, with its sealed secrets. Raises `Misconfigured`."""
    there = connections.get(connection, connection_id)
    if there is None or there.license_id != license_id:
        raise Misconfigured("not_found", f"there is no connection {connection_id}")
    return there, connections.secrets_of(connection, connection_id)


def batch_records(connection: CrmConnection, connector: Connector, most: int) -> int:
    """How many records of a push are sent at once."""
    own: int = connection.settings.get(_BATCH, most)
    return min(own, most, connector.batch_max)


def check(
    connector: str, settings: Mapping[str, Any], secrets: Mapping[str, Any]
) -> None:
    """Raise `BadInput` where no connection can be made of these."""
    offer = OFFERS.get(connector)
    if offer is None:
        raise bad("connector", f"is none of {', '.join(OFFERS)}")
    _check_names("settings", settings, offer.settings | {_BATCH}, offer.needed)
    _check_names("secrets", secrets, offer.secrets, offer.secrets)
    batch = settings.get(_BATCH, 1)
    if type(batch) is not int or batch < 1:
        raise bad(f"settings.{_BATCH}", "must be a whole number of at least 1")
    for place, given in (("settings", settings), ("secrets", secrets)):
        for name, value in given.items():
            if name != _BATCH:
                _check_text(f"{place}.{name}", value)


def _check_names(
    place: str,
    given: Mapping[str, Any],
    known: frozenset[str],
    needed: frozenset[str],
) -> None:
    for name in sorted(given.keys() - known):
        raise bad(f"{place}.{name}", f"is none of {', '.join(sorted(known))}")
    for name in sorted(needed - given.keys()):
        raise bad(f"{place}.{name}", "is missing")


def _check_text(place: str, value: object) -> None:
    if type(value) is not str or not value.strip() or not value.isprintable():
        raise bad(place, "must be a text without control characters")
    if len(value) > _TEXT_MAX:
        raise bad(place, f"is longer than {_TEXT_MAX} characters")
