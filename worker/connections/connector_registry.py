"""The registry of connectors: which there are, and what each is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from threading import Event
from typing import Any, NamedTuple

from worker.connections import oauth_client
from worker.connections.connectors.connector import Access, Connector, Http, Keys, Kind
from worker.connections.token_refresh import ACCESS_TOKEN
from worker.infrastructure.clock import wait, wall_s
from worker.infrastructure.message_signatures import signed_headers

_BEAT_S = 0.2


class Opening(NamedTuple):
    """What a connector can be made of."""

    http: Http
    access: Access
    keys: Keys
    beat: Callable[[], None]
    run: str
    """What is written belongs to this part of a job; empty where nothing is written."""

    def sign(self, message_id: str, body: bytes) -> Mapping[str, str]:
        """The headers that a message is sent with in this second."""
        secret = self.access.secrets["signing_secret"]
        return signed_headers([secret], message_id, int(wall_s()), body)

    def wait(self, pause_s: float) -> None:
        """Wait, and hold on to the chunk meanwhile. Raises `Superseded`."""
        while pause_s > 0:
            wait(Event(), min(pause_s, _BEAT_S))
            self.beat()
            pause_s -= _BEAT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A connector that connections can be made for, and what they say.

    It is the class `kind` in the folder of its `vendor`, loaded with the first
    connection that is opened.
    `settings` are those a connection may have, `needed` those of them that it must
    have, `secrets` all that it must have; the secret `access_token` is sent along by
    `Http` as a bearer's. Where it `discloses`, what was sent in full counts, whatever
    the answer.
    """

    vendor: str
    kind: str
    make: Callable[[Callable[..., Connector], Opening], Connector]
    settings: frozenset[str]
    needed: frozenset[str]
    secrets: frozenset[str]
    discloses: bool = False

    def open(self, given: Opening) -> Connector:
        """A connector of this kind."""
        return self.make(self._class, given)

    @property
    def defaults(self) -> Mapping[Kind, Mapping[str, str]]:
        """Where each of our columns goes unless a mapping says otherwise."""
        found: Mapping[Kind, Mapping[str, str]] = self._class.defaults
        return found

    @property
    def _class(self) -> Any:  # noqa: ANN401 - each takes what it needs
        module = f"worker.connections.connectors.{self.vendor}.connector"
        return getattr(import_module(module), self.kind)


BULK_ABOVE = "bulk_above"
"""Of those with a way for many: a push of more records than this goes by it."""

FLAGS = frozenset({"allow_duplicates", "without_consent_flags"})
"""Settings that are true or false."""

OFFERS: Mapping[str, Offer] = {
    "hubspot": Offer(
        vendor="hubspot",
        kind="HubSpot",
        make=lambda kind, given: kind(given.http, given.access),
        settings=frozenset({"url", "api_version"}),
        needed=frozenset(),
        secrets=frozenset({ACCESS_TOKEN}),
    ),
    "odoo": Offer(
        vendor="odoo",
        kind="Odoo",
        make=lambda kind, given: kind(given.http, given.access),
        settings=frozenset({"url", "database"}),
        needed=frozenset({"url"}),
        secrets=frozenset({"api_key"}),
    ),
    "pipedrive": Offer(
        vendor="pipedrive",
        kind="Pipedrive",
        make=lambda kind, given: kind(given.http, given.access, given.keys, given.wait),
        settings=frozenset({"url"}),
        needed=frozenset({"url"}),
        secrets=frozenset({"api_token"}),
    ),
    "salesforce": Offer(
        vendor="salesforce",
        kind="Salesforce",
        make=lambda kind, given: kind(given.http, given.access, given.wait),
        settings=frozenset(
            {
                "url",
                "api_version",
                *FLAGS,
                BULK_ABOVE,
                oauth_client.LOGIN,
            }
        ),
        needed=frozenset({"url"}),
        secrets=frozenset({ACCESS_TOKEN}),
    ),
    "webhook": Offer(
        vendor="webhook",
        kind="Webhook",
        make=lambda kind, given: kind(
            given.http, given.access, given.sign, given.wait, given.run
        ),
        settings=frozenset({"url"}),
        needed=frozenset({"url"}),
        secrets=frozenset({"signing_secret"}),
        discloses=True,
    ),
}
"""By the name that a connection gives."""
