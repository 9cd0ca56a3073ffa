"""The priced records of a job as a file: one JSON object a line, cut into slices.

The quote writes it, chunks read their slice of it. A line is `[number, fields,
own, claims]`: the record's number, its fields by column, the digest that it was priced
with, and its claims with their frozen prices, each `[item, digest, credits]`. The
digest of most claims is `"own"`: the one of their line. A record that the export leaves
out has no claims.
"""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from pricing.claims import OWN, PricedClaim
from pricing.plans import Item
from storage.files.artifacts import Artifacts, Draft
from storage.quotes.quotes import Slice
from worker.quotes.duplicates import Seen
from worker.quotes.readers.records import Change, KeptRecord, Record, encode

# Most records of a job have the same few claims.
_encoded = lru_cache(maxsize=1_000)(json.JSONEncoder(separators=(",", ":")).encode)


class PricedRecord(NamedTuple):
    """A record with the claims it was quoted at."""

    record: Record
    claims: tuple[PricedClaim, ...]

    @property
    def is_left_out(self) -> bool:
        """Whether the export does without it: every other asks for its company."""
        return not self.claims


class InputWriter:
    """Writes priced records and remembers where each slice begins."""

    def __init__(self, draft: Draft, slice_records: int) -> None:
        self._draft = draft
        self._slice_records = slice_records
        self._lines: list[str] = []
        self.slices: list[Slice] = []

    def add(
        self, record: Record | KeptRecord, own: str, claims: tuple[PricedClaim, ...]
    ) -> None:
        """Append one record, which asked with the digest `own`."""
        # Written around the fields as they are encoded; no digest needs escaping.
        self._lines.append(
            f'[{record.number},{record.encoded},"{own}",{_encoded(claims)}]\n'
        )
        if len(self._lines) == self._slice_records:
            self.flush()

    def flush(self) -> None:
        """End the slice that is being written."""
        if not self._lines:
            return
        data = "".join(self._lines).encode()
        self.slices.append(Slice(self._draft.bytes, len(data), len(self._lines)))
        self._draft.write(data)
        self._lines.clear()


def read_slice(
    artifacts: Artifacts,
    name: str,
    *,
    first_byte: int,
    size: int,
) -> list[bytes]:
    """The lines of one slice, not yet parsed."""
    with artifacts.open(name) as stream:
        stream.seek(first_byte)
        return stream.read(size).splitlines()


def parse(lines: list[bytes]) -> Iterator[PricedRecord]:
    """Priced records from their lines."""
    for line in lines:
        number, fields, own, claims = json.loads(line)
        yield PricedRecord(
            Record(number, fields),
            tuple(
                PricedClaim(Item(item), own if digest == OWN else digest, credits_)
                for item, digest, credits_ in claims
            ),
        )


def rewritten(line: bytes, change: Change) -> bytes:
    """A line with its fields changed, as long as before: slices begin where they did.

    The change makes no fields longer.
    """
    number, fields, *priced = json.loads(line)
    fresh = change(fields)
    if fresh == fields:
        return line
    encoded = encode((number, fresh, *priced)).encode()
    return encoded.ljust(len(line) - 1) + b"\n"


def fits_records(artifacts: Artifacts, name: str, available: int) -> int:
    """How many of the first records of a job's input cost at most this together."""
    # By digests: a million records can hold three million claims.
    seen = Seen()
    cost = count = 0
    with artifacts.open(name) as stream:
        for line in stream:
            for record, claims in parse([line]):
                cost += sum(
                    claim.credits
                    for claim in claims
                    if claim.credits and not seen.before(_key_of(record, claim))
                )
            if cost > available:
                return count
            count += 1
    return count


def _key_of(record: Record, claim: PricedClaim) -> str:
    """One text for each item and subject; no id holds the character between."""
    company = claim.item is Item.COMPANY
    subject = record.company_id if company else record.person_id or ""
    return f"{claim.item}\0{subject}\0{claim.digest}"
