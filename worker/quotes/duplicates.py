"""Telling a million ids apart in little memory: by what stands for them.

What comes twice is found in two steps. Of all ids a hash is held, eight bytes each.
Most come once, and so do their hashes: nothing more has to be known of them. Of the
others, and of the few that share a hash with another id, a digest is held.

A digest of 15 bytes takes 48 as an object; a sixteenth would make it 64. That any two
of a million ids share one has a probability of 1 in 10^24, so that nobody will see a
record that was paid for dropped for another's id.
"""

from array import array
from bisect import bisect_left
from collections.abc import Hashable, Iterable
from enum import Enum, auto
from hashlib import blake2b
from itertools import pairwise
from typing import NamedTuple

_DIGEST_BYTES = 15
_AT_ONCE = 1 << 17
"""So many hashes may be objects at once."""
_PIECE = 1 << 15
_PARTS = 64
_PART_BITS = 64 - (_PARTS.bit_length() - 1)
_BOUNDS = [part << _PART_BITS for part in range(1 - _PARTS // 2, _PARTS // 2)]


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


class Repeats:
    """Tells what comes again, and whether it says the same as the first time.

    Of what it says a hash is held: that two differ and share one would only leave the
    difference untold.
    """

    def __init__(self) -> None:
        self._seen = Seen()
        self._said: set[int] = set()

    def before(self, key: str, said: Hashable) -> "Repeat":
        """Whether a key was asked about before, and with something else."""
        if not self._seen.before(key):
            self._said.add(hash((key, said)))
            return Repeat.NONE
        return Repeat.SAME if hash((key, said)) in self._said else Repeat.DIFFERS


class Repeat(Enum):
    """What became of a key that is asked about."""

    NONE = auto()
    SAME = auto()
    DIFFERS = auto()


class Counted(NamedTuple):
    """How many different hashes there were, and those that came more than once."""

    different: int
    repeated: set[int]


class Hashes:
    """Holds the hashes of ids until all are there: eight bytes each.

    They are Python's own, and mean nothing to another process. That a count is wrong
    for two ids that share one happens in one of 10^7 files of a million.
    """

    def __init__(self) -> None:
        self._held = array("q")

    def add(self, hashes: Iterable[int]) -> None:
        """Take some more."""
        self._held.extend(hashes)

    def counted(self) -> Counted:
        """What there is to be told of all; it holds none of them any more."""
        different = 0
        repeated: set[int] = set()
        parts = _parts(self._held)
        while parts:
            part = parts.pop()
            distinct = set(part)
            different += len(distinct)
            if len(distinct) < len(part):
                repeated.update(a for a, b in pairwise(sorted(part)) if a == b)
        return Counted(different, repeated)


def _parts(hashes: "array[int]") -> list["array[int]"]:
    """Cut many hashes by their size, so that only one part is ever a set of objects.

    They go over from their end, and are not held twice.
    """
    if len(hashes) <= _AT_ONCE:
        return [hashes]
    parts = [array("q") for _ in range(_PARTS)]
    while hashes:
        ordered = array("q", sorted(hashes[-_PIECE:]))
        del hashes[-_PIECE:]
        first = 0
        for part, bound in zip(parts, [*_BOUNDS, None], strict=True):
            last = len(ordered) if bound is None else bisect_left(ordered, bound, first)
            part.extend(ordered[first:last])
            first = last
    return parts
