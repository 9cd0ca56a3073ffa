"""The registry of connectors: which there are, and what each is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event
from typing import NamedTuple

from worker.connections import oauth_client
from worker.connections.connectors.connector import Access, Connector, Http, Keys, Kind
from worker.connections.connectors.hubspot.connector import HubSpot
from worker.connections.connectors.odoo.connector import Odoo
from worker.connections.connectors.pipedrive.connector import Pipedrive
from worker.connections.connectors.salesforce.connector import Salesforce
from worker.connections.connectors.webhook.connector import Webhook
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

FLAGS = frozenset({"allow_duplicates", "without_consent_flags"})
"""Settings that are true or false."""

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
                *FLAGS,
                BULK_ABOVE,
                oauth_client.LOGIN,
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
