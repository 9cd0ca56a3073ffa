"""Telling a million ids apart in little memory: by digests, not by the ids.

A digest of 15 bytes takes 48 as an object; a sixteenth would make it 64. That any two
of a million ids share one has a probability of 1 in 10^24, so that nobody will see a
record that was paid for dropped for another's id.
"""

from hashlib import blake2b

_DIGEST_BYTES = 15
_COUNTED_BYTES = 10
"""Enough of a digest where only a count is told, wrong once in 10^12 uploads."""

_PARTS = 256


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()


class Seen:
    """Remembers what it was asked about."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()

    def before(self, text: str) -> bool:
        """Whether this was asked before."""
        known = len(self._digests)
        self._digests.add(_digest(text))
        return len(self._digests) == known


class Distinct:
    """Counts different texts once all are there; a text costs ten bytes."""

    def __init__(self) -> None:
        # Cut by the first byte, so that only one part is ever a set of objects.
        self._parts = [bytearray() for _ in range(_PARTS)]
        self._last: str | None = None

    def add(self, text: str) -> None:
        """Take one more."""
        # Records of one company mostly stand together.
        if text != self._last:
            self._last = text
            digest = _digest(text)
            self._parts[digest[0]] += digest[:_COUNTED_BYTES]

    def count(self) -> int:
        """How many different ones there were."""
        return sum(len(_cut(part)) for part in self._parts)


def _cut(part: bytearray) -> set[bytes]:
    data = bytes(part)
    return {
        data[place : place + _COUNTED_BYTES]
        for place in range(0, len(data), _COUNTED_BYTES)
    }
