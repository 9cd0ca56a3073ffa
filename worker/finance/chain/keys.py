"""The chain's keys: one of each secret key, with an id that stands in each run.

Derived, so that what seals opens nothing else. A key that is replaced stays behind the
one that replaces it: what it has sealed is checked by it for ever.
"""

from collections.abc import Mapping

from worker.infrastructure.keyring import Keyring

_PURPOSE = "chain"


def sealing_key(keyring: Keyring) -> tuple[str, bytes]:
    """The id and the key that seals from now on."""
    return next(iter(all_keys(keyring).items()))


def all_keys(keyring: Keyring) -> Mapping[str, bytes]:
    """All keys that there are, by id; the one that seals comes first."""
    return keyring.derived(_PURPOSE)
