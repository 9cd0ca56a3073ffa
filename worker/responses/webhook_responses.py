"""Webhooks and their deliveries as clients see them."""

from datetime import datetime

from storage.webhooks.webhook_deliveries import Delivery
from storage.webhooks.webhooks import Webhook
from worker.infrastructure.clock import instant
from worker.responses.response import Answer


def of_webhook(webhook: Webhook, *, secret: str | None = None) -> Answer:
    """A webhook; its secret is there only where it was just made."""
    answer = {
        "id": webhook.id,
        "license": webhook.license_id,
        "url": webhook.url,
        "events": list(webhook.events),
        "created_at": instant(webhook.created_at),
    }
    return answer if secret is None else answer | {"secret": secret}


def of_rotated(
    webhook: Webhook, secret: str | None, old_secret_until: datetime | None
) -> Answer:
    """A webhook with the secret that it was just given, and when the old one ends."""
    return of_webhook(webhook) | {
        "secret": secret,
        "old_secret_until": instant(old_secret_until),
    }


def of_delivery(delivery: Delivery) -> Answer:
    """A delivery with its attempts."""
    return {
        "id": delivery.id,
        "event": delivery.event_id,
        "type": delivery.type,
        "created_at": instant(delivery.created_at),
        "delivered_at": instant(delivery.delivered_at),
        "given_up_at": instant(delivery.given_up_at),
        "next_attempt_at": instant(delivery.next_attempt_at),
        "attempts": [
            {
                "attempted_at": instant(attempt.attempted_at),
                "status": attempt.status,
                "error": attempt.error,
                "took_s": attempt.took_s,
            }
            for attempt in delivery.attempts
        ],
    }
