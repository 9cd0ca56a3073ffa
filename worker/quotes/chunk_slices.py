"""A job's input: a file of priced records, cut into a slice for each chunk.

The quote writes it, chunks read their slice of it; `priced_records` has the lines.
"""

import json
from functools import lru_cache

from pricing.claims import PricedClaim
from storage.files.artifacts import Artifacts, Draft
from storage.quotes.quotes import Slice
from worker.quotes.readers.records import KeptRecord, Record

# Most records of a job have the same few claims.
_encoded = lru_cache(maxsize=1_000)(json.JSONEncoder(separators=(",", ":")).encode)


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
