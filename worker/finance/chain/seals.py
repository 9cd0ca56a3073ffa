"""Seals: what the heads of the chain are made of. Rows and a key in, digests out.

A link's head is an HMAC over the head before it, the format, the run with its bounds,
the counts and the rows; the house's is one over its own head before, the same of the
run, and the heads of all its links. Each part is preceded by its length, so that
nothing can be moved from one into the next.
"""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime

from storage.finance.chain.runs import Counts, Link, Run
from storage.finance.chain.sealed_rows import TABLES, SealedRow

_PRIME = (1 << 127) - 1
"""Locators are whole numbers below it, which is of Mersenne."""

_WIDTH = 16
_DIGEST_BYTES = 15

Part = int | str | bytes


class RowsSeal:
    """What is sealed of one license's rows in one run, while they come.

    Of each table it keeps two sums over its rows: of a digest of each, and of that
    times the row's id. Where one row is another one, or is gone, or is too many, the
    quotient of what the sums differ by is its id.
    """

    __slots__ = ("_counts", "_key", "_rows", "_sums")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._rows = hashlib.sha256()
        self._counts = [0] * len(TABLES)
        self._sums = [0] * (2 * len(TABLES))

    def add(self, row: SealedRow) -> None:
        """The next row, in the order in which rows are sealed."""
        record = row.record
        self._rows.update(b"%d:%d:" % (row.table, len(record)) + record)
        digest = hashlib.blake2b(record, key=self._key, digest_size=_DIGEST_BYTES)
        number = int.from_bytes(digest.digest())
        self._counts[row.table] += 1
        self._sums[2 * row.table] += number
        self._sums[2 * row.table + 1] += number * row.id

    @property
    def counts(self) -> Counts:
        """How many rows of each table came."""
        return Counts(*self._counts)

    @property
    def locators(self) -> bytes:
        """The sums, as they are kept."""
        return b"".join((each % _PRIME).to_bytes(_WIDTH) for each in self._sums)

    @property
    def digest(self) -> bytes:
        """Of all that came."""
        return self._rows.digest()


def other_row(kept: bytes, found: bytes, table: int) -> int | None:
    """The id of the one row of a table by which locators differ; None of several."""
    digest_off, product_off = (
        (_sum(found, 2 * table + which) - _sum(kept, 2 * table + which)) % _PRIME
        for which in (0, 1)
    )
    if not digest_off:
        return None
    row_id = product_off * pow(digest_off, -1, _PRIME) % _PRIME
    # Of several rows that differ it is any number below the prime.
    return row_id if row_id < 1 << 63 else None


def are_same(kept: bytes, found: bytes, table: int) -> bool:
    """Whether the rows of a table are those that were sealed, by their locators."""
    return all(
        _sum(kept, 2 * table + which) == _sum(found, 2 * table + which)
        for which in (0, 1)
    )


def _sum(locators: bytes, place: int) -> int:
    return int.from_bytes(locators[place * _WIDTH : (place + 1) * _WIDTH])


def link_head(key: bytes, link: Link, run: Run, rows: bytes) -> bytes:
    """The head that a link should have, over the digest of its rows."""
    return _head(
        key,
        "link",
        link.previous_head,
        run.format,
        link.license_id,
        link.run,
        link.position,
        run.from_transaction,
        run.to_transaction,
        *link.counts,
        link.locators,
        rows,
    )


def run_head(key: bytes, run: Run, links: Iterable[Link]) -> bytes:
    """The head that the house should have after a run, over the heads of its links."""
    return _head(
        key,
        "run",
        run.previous_head,
        run.format,
        run.n,
        run.from_transaction,
        run.to_transaction,
        run.era,
        run.system_identifier,
        *run.counts,
        run.links,
        run.key_id,
        _microseconds(run.sealed_at),
        *(
            part
            for link in links
            for part in (link.license_id, link.position, link.head)
        ),
    )


def erasure_seal(key: bytes, table: str, row_id: int, erased_at: datetime) -> bytes:
    """What shows that it was the house that has erased what a person wrote."""
    return _head(key, "erasure", table, row_id, _microseconds(erased_at))


def _head(key: bytes, *parts: Part) -> bytes:
    return hmac.digest(key, b"".join(map(_framed, parts)), "sha256")


def _framed(part: Part) -> bytes:
    raw = part if isinstance(part, bytes) else str(part).encode()
    kind = {int: b"n", str: b"t", bytes: b"b"}[type(part)]
    return b"%b%d:" % (kind, len(raw)) + raw


def _microseconds(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
