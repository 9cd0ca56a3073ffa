"""Webhooks: made and taken away by clients, told of events by workers.

An event is delivered at least once and always under the same id. What a webhook does
not accept is tried again, later each time, until it is given up. No transaction is
open while a webhook is asked.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from storage.licenses import licenses
from storage.operations import action_log
from storage.operations.action_log import Acting, Target
from storage.webhooks import webhook_deliveries, webhooks
from storage.webhooks.events import EventType
from storage.webhooks.webhook_deliveries import Delivery
from storage.webhooks.webhooks import Webhook
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import (
    Code,
    ForbiddenTarget,
    Refused,
    bad,
)
from worker.infrastructure.ids import new_id
from worker.infrastructure.keyring import Undecipherable
from worker.infrastructure.message_signatures import new_secret

log = logging.getLogger(__name__)


Once = Callable[[Connection, str], None]
"""Notes in the same transaction what a request has made."""

OVERLAP_S_MAX = 30 * 24 * 3600
"""How long a secret may sign beside the one that has replaced it."""
_URL_LENGTH_MAX = 2000


# -- What clients do.


def create(
    deps: Deps,
    license_id: str,
    url: str,
    events: Sequence[str],
    once: Once | None = None,
) -> tuple[Webhook, str]:
    """Make a webhook; the secret beside it is shown this once and never again.

    Raises `BadInput` for a URL that must not be asked or an event that there is not,
    and `Refused` without a license.
    """
    _check_events(events)
    _check_url(deps, url)
    secret = new_secret()
    sealed = deps.keyring.encrypt(secret)
    with deps.database.transaction() as connection:
        if licenses.get(connection, license_id) is None:
            raise Refused(Code.NOT_FOUND, f"there is no license {license_id}")
        webhook = webhooks.create(
            connection,
            new_id("wh"),
            license_id,
            url=url,
            events=list(dict.fromkeys(events)),
            secret=sealed,
        )
        if once is not None:
            once(connection, webhook.id)
    return webhook, secret


class Rotated(NamedTuple):
    """A webhook with its new secret, shown this once, and when the old one ends."""

    webhook: Webhook
    secret: str
    old_secret_until: datetime | None


def rotate(
    deps: Deps, webhook_id: str, overlap_s: int, once: Once | None = None
) -> Rotated:
    """Give a webhook another secret; for `overlap_s` the old one signs beside it.

    An old one that no key can read any more cannot sign: it ends at once. Raises
    `BadInput` for an overlap that is too long, and `Refused` without the webhook.
    """
    if not 0 <= overlap_s <= OVERLAP_S_MAX:
        raise bad("overlap_s", f"must be 0 to {OVERLAP_S_MAX} seconds")
    secret = new_secret()
    sealed = deps.keyring.encrypt(secret)
    with deps.database.transaction() as connection:
        old = webhooks.secret_to_replace(connection, webhook_id)
        webhook = _need(connection, webhook_id)
        until = webhooks.replace_secret(
            connection,
            webhook_id,
            secret=sealed,
            overlap_s=overlap_s if _is_readable(deps, old) else 0,
        )
        if once is not None:
            once(connection, webhook_id)
    log.info(
        "webhook %s has a new secret; the old one signs until %s", webhook_id, until
    )
    return Rotated(webhook, secret, until)


def _is_readable(deps: Deps, sealed: str | None) -> bool:
    try:
        return bool(sealed and deps.keyring.decrypt(sealed))
    except Undecipherable:
        return False


def get(deps: Deps, webhook_id: str) -> Webhook:
    """A webhook. Raises `Refused` where there is none, or none any more."""
    with deps.database.transaction() as connection:
        return _need(connection, webhook_id)


def page(
    deps: Deps,
    *,
    license_id: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> list[Webhook]:
    """Webhooks by id, of one license if asked, from behind the id `after`."""
    with deps.database.transaction() as connection:
        return webhooks.page(
            connection, license_id=license_id, after=after, limit=limit
        )


def delete(deps: Deps, webhook_id: str) -> None:
    """Take a webhook away; what waits for it is not delivered any more."""
    with deps.database.transaction() as connection:
        _need(connection, webhook_id)
        webhooks.delete(connection, webhook_id)


def deliveries(
    deps: Deps,
    webhook_id: str,
    *,
    before: int | None = None,
    limit: int = 100,
) -> list[Delivery]:
    """What a webhook was told, the newest first, from behind the id `before`."""
    with deps.database.transaction() as connection:
        _need(connection, webhook_id)
        return webhook_deliveries.deliveries(
            connection, webhook_id, before=before, limit=limit
        )


def send_again(deps: Deps, delivery_id: int, by: Acting | None = None) -> Delivery:
    """Attempt a delivery once more at once, whatever became of it before.

    One that is about to be attempted stays as it is. Raises `Refused` where there is
    none, or its webhook was taken away.
    """
    with deps.database.transaction() as connection:
        license_id = webhook_deliveries.license_of(connection, delivery_id)
        if webhook_deliveries.delivery(connection, delivery_id) is None:
            raise Refused(Code.NOT_FOUND, f"there is no delivery {delivery_id}")
        moved = webhook_deliveries.send_again(connection, delivery_id)
        if moved and by is not None:
            target = Target("delivery", str(delivery_id), license_id)
            action_log.note(connection, by, "send_again", target)
        found = webhook_deliveries.delivery(connection, delivery_id)
    assert found is not None  # noqa: S101 - it was there in this transaction
    return found


def _need(connection: Connection, webhook_id: str) -> Webhook:
    webhook = webhooks.get(connection, webhook_id)
    if webhook is None:
        raise Refused(Code.NOT_FOUND, f"there is no webhook {webhook_id}")
    return webhook


def _check_events(events: Sequence[str]) -> None:
    known = [type_.value for type_ in EventType]
    if not events:
        raise bad("events", "must name one event or more")
    for name in events:
        if name not in known:
            raise bad("events", f"must be of {', '.join(known)}")


def _check_url(deps: Deps, url: str) -> None:
    if len(url) > _URL_LENGTH_MAX:
        raise bad("url", f"must have at most {_URL_LENGTH_MAX} characters")
    try:
        deps.outbound.check(url)
    except ForbiddenTarget as error:
        raise bad("url", error.reason) from error


# -- What workers do.
