"""API keys: made, shown once, kept as digests."""

import hashlib
import secrets
from datetime import datetime
from hmac import compare_digest

from storage.access_scopes import Scope
from storage.licenses import api_keys, licenses
from storage.licenses.api_keys import Key
from storage.licenses.idempotency_keys import Once
from worker.infrastructure.clock import wall_s
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused, bad
from worker.infrastructure.ids import check_id, check_name, new_id
from worker.infrastructure.settings import Settings

BOOTSTRAP_NAME = "bootstrap"


def digest_of(key: str) -> str:
    """What is kept of a key. It has 128 bits or more: one round of SHA-256 will do."""
    return hashlib.sha256(key.encode()).hexdigest()


def create(
    deps: Deps,
    name: str,
    scope: Scope,
    license_id: str | None = None,
    *,
    person: str | None = None,
    expires_at: datetime | None = None,
    once: Once | None = None,
) -> tuple[str, str]:
    """Make a key; return its id, and the key itself, which is never shown again.

    `once` is called in the transaction that keeps it, with its id. Raises `BadInput`
    for an end that has passed, `Refused` where it is to be bound to a license that is
    not there.
    """
    check_name(name)
    _check_end(expires_at)
    if person is not None:
        person = _checked_person(person)
    key_id, key = new_id("key"), f"hf_{secrets.token_urlsafe(32)}"
    with deps.database.transaction() as connection:
        if license_id is not None and licenses.get(connection, license_id) is None:
            raise Refused(Code.NOT_FOUND, f"there is no license {license_id}")
        api_keys.put(
            connection,
            key_id,
            digest_of(key),
            name=name,
            scope=scope,
            license_id=license_id,
            person=person,
            expires_at=expires_at,
        )
        if once is not None:
            once(connection, key_id)
    return key_id, key


def _check_end(expires_at: datetime | None) -> None:
    if expires_at is not None and expires_at.timestamp() <= wall_s():
        raise bad("expires_at", "has passed already")


def _checked_person(person: str) -> str:
    """Who holds a key, without the white space around it. Raises `BadInput`."""
    person = person.strip()
    check_name(person, "person")
    check_id("person", person)
    return person


def name_person(deps: Deps, key_id: str, person: str) -> None:
    """Say once who holds a key that was made without. Raises `Refused`."""
    person = _checked_person(person)
    with deps.database.transaction() as connection:
        if not api_keys.name_person(connection, key_id, person):
            if api_keys.live(connection, key_id) is None:
                raise Refused(Code.NOT_FOUND, f"there is no key {key_id}")
            raise Refused(
                Code.WRONG_STATE, f"{key_id} names another person: make a new key"
            )


def _bootstrap_key(settings: Settings) -> str | None:
    key = settings.bootstrap_key
    return None if key is None else key.get_secret_value()


def is_bootstrap_key(settings: Settings, given: str) -> bool:
    """Whether this is the key that the settings name: as slowly where it is not."""
    key = _bootstrap_key(settings)
    # By their digests: of another length, too, they are compared to the end.
    return key is not None and compare_digest(digest_of(given), digest_of(key))


def keep_bootstrap_key(deps: Deps) -> None:
    """Keep the key that the settings name, as an admin's; once."""
    key = _bootstrap_key(deps.settings)
    if key is None:
        return
    with deps.database.transaction() as connection:
        api_keys.put(
            connection,
            new_id("key"),
            digest_of(key),
            name=BOOTSTRAP_NAME,
            scope=Scope.ADMIN,
            license_id=None,
            person=deps.settings.bootstrap_person,
        )


def revoke(deps: Deps, key_id: str) -> None:
    """End a key for good. Raises `Refused` where there is none."""
    with deps.database.transaction() as connection:
        if not api_keys.revoke(connection, key_id):
            raise Refused(Code.NOT_FOUND, f"there is no key {key_id}")


def expire(deps: Deps, key_id: str, expires_at: datetime | None) -> None:
    """Let a key end at a time, or at none. Raises `BadInput`, `Refused`."""
    _check_end(expires_at)
    with deps.database.transaction() as connection:
        if not api_keys.expire(connection, key_id, expires_at):
            if api_keys.get(connection, key_id) is None:
                raise Refused(Code.NOT_FOUND, f"there is no key {key_id}")
            raise Refused(Code.WRONG_STATE, f"{key_id} has ended: make a new key")


def get(deps: Deps, key_id: str) -> Key:
    """A key, also one that has ended. Raises `Refused` where there is none."""
    with deps.database.transaction() as connection:
        found = api_keys.get(connection, key_id)
    if found is None:
        raise Refused(Code.NOT_FOUND, f"there is no key {key_id}")
    return found


def page(
    deps: Deps, *, license_id: str | None, after: str | None, limit: int
) -> list[Key]:
    """Keys by id, of one license if asked, from behind the id `after`."""
    with deps.database.transaction() as connection:
        return api_keys.page(
            connection, license_id=license_id, after=after, limit=limit
        )


def every(deps: Deps) -> list[Key]:
    """All keys, the newest first."""
    with deps.database.transaction() as connection:
        return api_keys.every(connection)
