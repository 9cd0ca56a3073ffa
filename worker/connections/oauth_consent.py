"""Connections made by consent: somebody is sent to the CRM, and comes back with a code.

The state that goes with them is random, kept as a digest, used once and soon over: a
code that nobody here has asked for makes no connection.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from storage.connections import connections as stored
from storage.connections import oauth_authorizations
from storage.connections.connections import CrmConnection
from storage.connections.oauth_authorizations import Authorization
from storage.licenses import licenses
from storage.licenses.idempotency_keys import Once
from worker.connections import (
    connection_checks,
    oauth_client,
    token_refresh,
)
from worker.connections.connection_opener import ConnectionDeps
from worker.connections.oauth_client import Grant, Grantor, GrantRefused
from worker.infrastructure.errors import (
    Code,
    NotConfigured,
    OutboundError,
    Refused,
    bad,
)
from worker.infrastructure.ids import check_name, new_id
from worker.infrastructure.keyring import Undecipherable

CALLBACK = "/v1/authorizations/callback"

_RANDOM_BYTES = 32
_LASTS_S = 15 * 60


class Wish(NamedTuple):
    """A connection that is wished for; with `connection_id`, one that is to work again.

    Whoever comes back is sent on to `return_url`.
    """

    license_id: str
    connector: str
    name: str
    settings: dict[str, Any]
    return_url: str | None = None
    connection_id: str | None = None


class Asked(NamedTuple):
    """Where somebody is to be sent, and until when they may come back."""

    url: str
    expires_at: datetime


class Completed(NamedTuple):
    """A connection that somebody has consented to, and where they go on from here."""

    connection: CrmConnection
    return_url: str | None


class Denied(Exception):
    """Nothing was made: `code` says why, `return_url` where to go on from here."""

    def __init__(self, code: str, detail: str, return_url: str | None = None) -> None:
        self.code = code
        self.return_url = return_url
        super().__init__(detail)


def ask(
    deps: ConnectionDeps, wish: Wish, *, base_url: str, once: Once | None = None
) -> Asked:
    """Where to send somebody who is to consent to a connection.

    Raises `BadInput`, `Refused`, and `NotConfigured` without an app at the vendor.
    """
    check_name(wish.name)
    if deps.settings.limits_url is None:
        raise NotConfigured("HOLDFAST_REDIS_URL is not set: connections need it")
    if wish.connection_id is None:
        connection_checks.check_settings(wish.connector, wish.settings, by_consent=True)
    grantor = _grantor(deps, wish.connector, wish.settings)
    if grantor.url_member is None and "url" in wish.settings:
        raise bad("settings.url", "is of its own: consent makes another connection")
    # It has to be known at the vendor beforehand.
    redirect_uri = f"{(deps.settings.public_url or base_url).rstrip('/')}{CALLBACK}"
    state = secrets.token_urlsafe(_RANDOM_BYTES)
    verifier = secrets.token_urlsafe(_RANDOM_BYTES)
    with deps.database.transaction() as connection:
        if licenses.get(connection, wish.license_id) is None:
            raise Refused(Code.NOT_FOUND, f"there is no license {wish.license_id}")
        expires_at = oauth_authorizations.put(
            connection,
            Authorization(
                state_digest=_digest(state),
                redirect_uri=redirect_uri,
                verifier=deps.keyring.encrypt(verifier),
                **wish._asdict(),
            ),
            lasts_s=_LASTS_S,
        )
        if once is not None:
            once(connection, _digest(state))
    url = oauth_client.consent_url(
        grantor, state=state, redirect_uri=redirect_uri, verifier=verifier
    )
    return Asked(url, expires_at)


def complete(
    deps: ConnectionDeps, state: str, *, code: str | None, error: str | None
) -> Completed:
    """Make the connection that a state stands for. Raises `Denied`."""
    with deps.database.transaction() as connection:
        asked = oauth_authorizations.take(connection, _digest(state))
    if asked is None:
        raise Denied("invalid_state", "nobody here has asked, or it was too long ago")
    if code is None:
        raise Denied("denied", f"the CRM says {error!r}"[:200], asked.return_url)
    try:
        grant = oauth_client.exchange(
            deps.crms.granting,
            _grantor(deps, asked.connector, asked.settings),
            code=code,
            redirect_uri=asked.redirect_uri,
            verifier=deps.keyring.decrypt(asked.verifier),
        )
    except (GrantRefused, OutboundError, NotConfigured, Undecipherable) as failure:
        raise Denied("no_token", str(failure), asked.return_url) from failure
    with deps.database.transaction() as connection:
        made = _keep(deps, connection, asked, grant)
    return Completed(made, asked.return_url)


def _keep(
    deps: ConnectionDeps, connection: Connection, asked: Authorization, grant: Grant
) -> CrmConnection:
    sealed = deps.keyring.encrypt(json.dumps(token_refresh.secrets_of(grant)))
    if asked.connection_id is None:
        return stored.create(
            connection,
            new_id("connection"),
            asked.license_id,
            connector=asked.connector,
            name=asked.name,
            settings=asked.settings | ({"url": grant.url} if grant.url else {}),
            secrets=sealed,
            account=grant.account,
        )
    there = stored.get(connection, asked.connection_id)
    if there is None:
        raise Denied("not_found", "the connection was taken away", asked.return_url)
    # Our ids and theirs belong to one account: another needs its own map. As long as
    # the account is not known, it is the one that is reached at that address.
    known_url = str(there.settings.get("url") or "").rstrip("/")
    is_same = there.account is not None or known_url == (grant.url or "")
    if not is_same or not stored.reconnect(
        connection, there.id, sealed, url=grant.url, account=grant.account
    ):
        message = "this is another account; make a connection of its own for it"
        raise Denied("other_account", message, asked.return_url)
    return stored.get(connection, there.id) or there


def _grantor(
    deps: ConnectionDeps, connector: str, chosen: Mapping[str, Any]
) -> Grantor:
    if connector not in oauth_client.CONNECTORS:
        raise bad("connector", f"is none of {', '.join(oauth_client.CONNECTORS)}")
    grantor = oauth_client.grantor_of(deps.settings, connector, chosen)
    if grantor is None:
        raise Refused(
            Code.WRONG_STATE,
            f"HOLDFAST_{connector.upper()}_CLIENT_ID and _CLIENT_SECRET are not set",
        )
    return grantor


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()
