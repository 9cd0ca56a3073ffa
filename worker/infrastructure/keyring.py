"""The keyring: keeps secrets unreadable in the database, and signs links.

Its keys are the setting's, where it is set; else a file of the home that is made
once. The first key encrypts and signs, any of them decrypts and verifies: so a key
is replaced by putting a new one before it.
"""

import base64
import hashlib
import hmac
import os
import secrets
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from worker.infrastructure.errors import NotConfigured
from worker.infrastructure.settings import Settings

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

KEY_LENGTH_MIN = 20

_FILE = "secret.key"
_ID_LENGTH = 16


class Undecipherable(Exception):
    """None of the keys has encrypted this."""


class Keyring:
    """Encrypts, decrypts and signs; keys are looked for when one is first needed."""

    def __init__(self, settings: Settings) -> None:
        given, former = settings.secret_keys, settings.former_keys
        self._given = _split(given.get_secret_value()) if given else ()
        self._former = _split(former.get_secret_value()) if former else ()
        self._home = settings.home.expanduser().absolute()

    def encrypt(self, text: str) -> str:
        """What only these keys can read."""
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, sealed: str) -> str:
        """What was encrypted. Raises `Undecipherable`."""
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 - as for encrypting

        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise Undecipherable("none of the secret keys fits") from error

    def sign(self, purpose: str, text: str) -> str:
        """A signature in hex, which is worth nothing for any other purpose."""
        return _sign(self._keys[0], purpose, text)

    def verify(self, purpose: str, text: str, signature: str) -> bool:
        """Whether one of the keys has signed this text for this purpose."""
        right = [_sign(key, purpose, text).encode() for key in self._keys]
        # Each is compared, so that the time taken tells nothing.
        fits = [hmac.compare_digest(one, signature.encode()) for one in right]
        return any(fits)

    def derived(self, purpose: str) -> dict[str, bytes]:
        """A key of each for one purpose, by an id that tells nothing of it.

        The first is made of the key that encrypts and signs; the last are of those
        that were replaced.
        """
        all_keys = (*self._keys, *self._former)
        keys = [_derive(key, f"derive {purpose}") for key in all_keys]
        return {hashlib.sha256(key).hexdigest()[:_ID_LENGTH]: key for key in keys}

    @cached_property
    def _keys(self) -> tuple[str, ...]:
        return self._given or (_key_of(self._home),)

    @cached_property
    def _fernet(self) -> "MultiFernet":
        from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415 - 5 MB that few processes need

        keys = [_derive(key, "encrypt") for key in self._keys]
        return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])


def _split(given: str) -> tuple[str, ...]:
    keys = tuple(key.strip() for key in given.split(",") if key.strip())
    if any(len(key) < KEY_LENGTH_MIN for key in keys):
        # Never with the key itself: this message is logged.
        raise NotConfigured(
            "HOLDFAST_SECRET_KEYS and HOLDFAST_FORMER_KEYS: "
            f"each key has {KEY_LENGTH_MIN} characters or more"
        )
    return keys


def _derive(key: str, purpose: str) -> bytes:
    """A key for one purpose, from which neither the key nor another can be found.

    HKDF of RFC 5869 with SHA-256, no salt, and as many bytes as one round gives.
    """
    drawn = hmac.digest(bytes(hashlib.sha256().digest_size), key.encode(), "sha256")
    return hmac.digest(drawn, f"holdfast {purpose}".encode() + b"\x01", "sha256")


def _sign(key: str, purpose: str, text: str) -> str:
    derived = _derive(key, f"sign {purpose}")
    return hmac.new(derived, text.encode(), hashlib.sha256).hexdigest()


def _key_of(home: Path) -> str:
    """The home's own key, made by whoever needs it first."""
    path = home / _FILE
    if not path.exists():
        _make_key(path)
    return path.read_text().strip()


def _make_key(path: Path) -> None:
    """Write a key and give it its name in one step: it is whole, and never replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_urlsafe(32) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        # A link, unlike a rename, fails where somebody was faster: then theirs holds.
        path.hardlink_to(draft)
    except FileExistsError:
        return
    finally:
        draft.unlink()
