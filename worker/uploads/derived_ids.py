"""Derived ids: a company's from its domain, a person's from an address or a profile.

An id is a digest keyed with a secret of the license's own, so that it tells nothing of
what it is made of, and means nothing to another license. It ends in a check by the same
secret: what a license gets in a file it can hand in again, and nobody can make one up.
"""

import hmac
import secrets
from functools import lru_cache

from pricing.claims import DERIVED
from storage.uploads import derivation
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import NotConfigured, bad
from worker.infrastructure.keyring import Undecipherable
from worker.quotes.readers.column_mapping import ColumnMapping, Derivation
from worker.quotes.readers.made_ids import FORGED
from worker.uploads.domains import WAYS, Suffixes

_KEY_BYTES = 32
_ID_HEX, _CHECK_HEX = 32, 8
_HELD = 4096
"""So many values are remembered: the same company's come behind each other."""


class DerivedIds:
    """Makes a license's ids, and knows them again; its key is read when needed."""

    def __init__(self, deps: Deps, license_id: str) -> None:
        self._deps = deps
        self._license_id = license_id
        self._key: bytes | None = None
        self._is_looked_for = False

    def derivation(
        self, field: str, way: str, column: str, suffixes: Suffixes | None
    ) -> Derivation:
        """How the ids of a field are derived from a column, in a known way."""
        normalised = WAYS[field][way]

        @lru_cache(_HELD)
        def make(value: str) -> str:
            return self._id(field, f"{way} {normalised(value, suffixes)}")

        return Derivation(column, make)

    def is_derived(self, field: str, id_: str) -> bool:
        """Whether an id of a field was derived for this license."""
        if len(id_) != len(DERIVED) + _ID_HEX + _CHECK_HEX:
            return False
        if not self._is_looked_for:
            # Once, also where there is none: a file may hold a million of such ids.
            self._is_looked_for = True
            self._key = self._key or self._kept_key()
        if self._key is None:
            return False
        stem = id_[:-_CHECK_HEX]
        expected = f"{stem}{_check(self._key, field, stem)}"
        return hmac.compare_digest(id_.encode(), expected.encode())

    def _id(self, field: str, text: str) -> str:
        key = self._key = self._key or self._made_key()
        stem = f"{DERIVED}{_digest(key, f'{field} {text}')[:_ID_HEX]}"
        return f"{stem}{_check(key, field, stem)}"

    def _made_key(self) -> bytes:
        """The license's key, made by whoever needs it first."""
        fresh = self._deps.keyring.encrypt(secrets.token_hex(_KEY_BYTES))
        with self._deps.database.transaction() as connection:
            derivation.put_key(connection, self._license_id, fresh)
        key = self._kept_key()
        assert key is not None  # noqa: S101 - it was put just now, and is never removed
        return key

    def _kept_key(self) -> bytes | None:
        with self._deps.database.reading() as connection:
            sealed = derivation.key_of(connection, self._license_id)
        if sealed is None:
            return None
        try:
            return bytes.fromhex(self._deps.keyring.decrypt(sealed))
        except Undecipherable as error:
            raise NotConfigured(f"HOLDFAST_SECRET_KEYS: {error}") from error


def check_own(deps: Deps, license_id: str, field: str, id_: str) -> None:
    """Raise `BadInput` for an id that looks derived, and is not of this license."""
    if id_.startswith(DERIVED) and not DerivedIds(deps, license_id).is_derived(
        field, id_
    ):
        raise bad(field, FORGED)


def own_ids(deps: Deps, license_id: str) -> ColumnMapping:
    """The usual mapping for a license, whose derived ids may come in again."""
    return ColumnMapping(is_derived=DerivedIds(deps, license_id).is_derived)


def _digest(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), "sha256").hex()


def _check(key: bytes, field: str, stem: str) -> str:
    return _digest(key, f"check {field} {stem}")[:_CHECK_HEX]
