"""Connections opened: which connectors there are, and what each is given.

A process makes the client and the limits when they are first needed.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Any, NamedTuple

from sqlalchemy import Connection

from storage.connections import connections
from storage.connections.connections import CrmConnection
from storage.database import Database
from worker import oauth
from worker.clock import wait, wall_s
from worker.connectors import Access, Connector, Http, Keys, Kind
from worker.connectors.errors import Misconfigured, Unauthorized
from worker.connectors.hubspot import HubSpot
from worker.connectors.odoo import Odoo
from worker.connectors.pipedrive import Pipedrive
from worker.connectors.salesforce import Salesforce
from worker.connectors.webhook import Webhook
from worker.crm_http import CrmHttp
from worker.errors import bad
from worker.holding import HeldKeys
from worker.outbound import Outbound
from worker.secrets import Keyring, Undecipherable
from worker.settings import Settings
from worker.signatures import signature
from worker.throttling import Throttle
from worker.tokens import ACCESS_TOKEN, TOKEN_S, Tokens

_ANSWER_BYTES_MAX = 32 << 20
_SHARE_OF_A_LEASE = 2 / 3
_BEAT_S = 0.2
_TEXT_MAX = 2_000


class Opening(NamedTuple):
    """What a connector can be made of."""

    http: Http
    access: Access
    keys: Keys
    beat: Callable[[], None]
    run: str
    """What is written belongs to this part of a job; empty where nothing is written."""

    def sign(self, body: bytes) -> str:
        """The signature of a body, of this second."""
        return signature(self.access.secrets["signing_secret"], int(wall_s()), body)

    def wait(self, pause_s: float) -> None:
        """Wait, and hold on to the chunk meanwhile. Raises `Superseded`."""
        while pause_s > 0:
            wait(Event(), min(pause_s, _BEAT_S))
            self.beat()
            pause_s -= _BEAT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A connector that connections can be made for, and what they say.

    `settings` are those a connection may have, `needed` those of them that it must
    have, `secrets` all that it must have; the secret `access_token` is sent along by
    `Http` as a bearer's. Where it `discloses`, what was sent in full counts, whatever
    the answer.
    """

    make: Callable[["Opening"], Connector]
    defaults: Mapping[Kind, Mapping[str, str]]
    settings: frozenset[str]
    needed: frozenset[str]
    secrets: frozenset[str]
    discloses: bool = False


BULK_ABOVE = "bulk_above"
"""Of those with a way for many: a push of more records than this goes by it."""
_BULK_ABOVE = 2_000

OFFERS: Mapping[str, Offer] = {
    "hubspot": Offer(
        make=lambda given: HubSpot(given.http, given.access),
        defaults=HubSpot.defaults,
        settings=frozenset({"url", "api_version"}),
        needed=frozenset(),
        secrets=frozenset({ACCESS_TOKEN}),
    ),
    "odoo": Offer(
        make=lambda given: Odoo(given.http, given.access),
        defaults=Odoo.defaults,
        settings=frozenset({"url", "database"}),
        needed=frozenset({"url"}),
        secrets=frozenset({"api_key"}),
    ),
    "pipedrive": Offer(
        make=lambda given: Pipedrive(given.http, given.access, given.keys, given.wait),
        defaults=Pipedrive.defaults,
        settings=frozenset({"url"}),
        needed=frozenset({"url"}),
        secrets=frozenset({"api_token"}),
    ),
    "salesforce": Offer(
        make=lambda given: Salesforce(given.http, given.access, given.wait),
        defaults=Salesforce.defaults,
        settings=frozenset(
            {
                "url",
                "api_version",
                "allow_duplicates",
                "without_consent_flags",
                BULK_ABOVE,
                oauth.LOGIN,
            }
        ),
        needed=frozenset({"url"}),
        secrets=frozenset({ACCESS_TOKEN}),
    ),
    "webhook": Offer(
        make=lambda given: Webhook(
            given.http, given.access, given.sign, given.wait, given.run
        ),
        defaults=Webhook.defaults,
        settings=frozenset({"url"}),
        needed=frozenset({"url"}),
        secrets=frozenset({"signing_secret"}),
        discloses=True,
    ),
}
"""By the name that a connection gives."""

_BATCH = "batch_records"
"""A setting of every connection: so many records at once, fewer than the most."""
_NUMBERS = {_BATCH, BULK_ABOVE}


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


class Crms:
    """Opens the connections of licenses."""

    def __init__(
        self, settings: Settings, keyring: Keyring, database: Database
    ) -> None:
        self._settings = settings
        self._database = database
        self._keyring = keyring
        self.throttle = Throttle(settings)
        self.discovered: dict[str, Any] = {}
        self.outbound = Outbound(
            allow_private=settings.webhook_allow_private,
            timeout_s=min(settings.crm_timeout_s, settings.lease_s * _SHARE_OF_A_LEASE),
            response_bytes_max=_ANSWER_BYTES_MAX,
        )
        self.granting = Outbound(
            allow_private=settings.webhook_allow_private,
            timeout_s=min(TOKEN_S, settings.lease_s * _SHARE_OF_A_LEASE),
        )

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
                oauth.grantor_of(
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
            self.throttle,
            connection.id,
            tokens,
            beat=beat,
            hold_on=keys.extend,
            discloses=OFFERS[connection.connector].discloses,
        )
        settings = self._home(connection.connector) | connection.settings
        access = Access(settings=settings, secrets=tokens.secrets)
        made = OFFERS[connection.connector].make(Opening(http, access, keys, beat, run))
        return Opened(made, tokens, http)

    def _home(self, connector: str) -> dict[str, str]:
        """Where a vendor's API is that is at the same address for all."""
        return {"url": self._settings.hubspot_api_url} if connector == "hubspot" else {}

    def close(self) -> None:
        """Close what was opened."""
        self.throttle.close()


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
    above: int = connection.settings.get(BULK_ABOVE, _BULK_ABOVE)
    if bulk_max is not None and records > above:
        return min(settings.chunk_records, bulk_max)
    own: int = connection.settings.get(_BATCH, settings.batch_records)
    return min(own, settings.batch_records, connector.batch_max)


def check(
    connector: str, settings: Mapping[str, Any], secrets: Mapping[str, Any]
) -> None:
    """Raise `BadInput` where no connection can be made of these."""
    offer = check_settings(connector, settings)
    _check_names("secrets", secrets, offer.secrets, offer.secrets)
    for name, value in secrets.items():
        _check_text(f"secrets.{name}", value)


def check_settings(
    connector: str, settings: Mapping[str, Any], *, by_consent: bool = False
) -> Offer:
    """What is offered of a connector. Raises `BadInput` where it cannot be set so.

    By consent, the vendor says where the API of that customer is, and nobody else.
    """
    offer = OFFERS.get(connector)
    if offer is None:
        raise bad("connector", f"is none of {', '.join(OFFERS)}")
    known, needed = offer.settings | {_BATCH}, offer.needed
    if by_consent:
        known, needed = known - {"url"}, needed - {"url"}
    _check_names("settings", settings, known, needed)
    for name, value in settings.items():
        if name not in _NUMBERS:
            _check_text(f"settings.{name}", value)
        elif type(value) is not int or value < 1:
            raise bad(f"settings.{name}", "must be a whole number of at least 1")
    if settings.get(oauth.LOGIN, oauth.SANDBOX) != oauth.SANDBOX:
        raise bad(f"settings.{oauth.LOGIN}", f"can be {oauth.SANDBOX}, or be left out")
    return offer


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
