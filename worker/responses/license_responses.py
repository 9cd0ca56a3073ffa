"""Licenses, users, periods, API keys and messages as clients see them."""

from storage.ledger.periods import PeriodRow
from storage.licenses.api_keys import Key
from storage.licenses.licenses import License, User
from storage.licenses.notifications import Notification
from worker.infrastructure.clock import instant
from worker.responses.response import Answer


def of_license(license_: License) -> Answer:
    """A license."""
    return {
        "id": license_.id,
        "name": license_.name,
        "plan": license_.plan.value,
        "payment_term": license_.payment_term.value,
        "credits": license_.credits,
        "starts_at": instant(license_.starts_at),
        "features": sorted(license_.features),
        "weight": license_.weight,
    }


def of_key(key: Key) -> Answer:
    """A key, without what is secret."""
    return {
        "id": key.id,
        "name": key.name,
        "scope": key.scope.value,
        "license": key.license_id,
        "person": key.person,
        "created_at": instant(key.created_at),
        "last_used_at": instant(key.last_used_at),
        "expires_at": instant(key.expires_at),
        "revoked_at": instant(key.revoked_at),
    }


def of_user(user: User) -> Answer:
    """A user of a license."""
    return {
        "id": user.id,
        "role": user.role.value,
        "credits_allowed": user.credits_allowed,
    }


def of_period(row: PeriodRow) -> Answer:
    """A period with its counters."""
    return {
        "starts_at": instant(row.starts_at),
        "ends_at": instant(row.ends_at),
        "granted": row.granted,
        "reserved": row.reserved,
        "spent": row.spent,
        "expired": row.expired,
        "available": row.granted - row.reserved - row.spent - row.expired,
        "ended_at": instant(row.ended_at),
        "closed_at": instant(row.closed_at),
    }


def of_notification(notification: Notification) -> Answer:
    """A message to a user."""
    return {
        "id": notification.id,
        "user": notification.user_id,
        "code": notification.code,
        "message": notification.message,
        "created_at": instant(notification.created_at),
    }
