"""A job's input: a file of priced records, cut into a slice for each chunk.

The quote writes it, chunks read their slice of it; `priced_records` has the lines.
"""

from collections.abc import Sequence

from storage.errors import ArtifactError
from storage.files.artifacts import Artifacts, Draft
from storage.quotes.quotes import Slice
from worker.quotes.priced_records import (
    Claims,
    PricedRecords,
    encoded,
    joined,
    parse,
)
from worker.quotes.readers.record_columns import Records


class InputWriter:
    """Writes priced records and remembers where each slice begins.

    Records come in blocks; one that is about as large as a slice becomes one as it is,
    and its fields pass unread. Others are joined and cut.
    """

    def __init__(self, draft: Draft, slice_records: int) -> None:
        self._draft = draft
        self._slice_records = slice_records
        self._pending: PricedRecords | None = None
        self.slices: list[Slice] = []

    def add(
        self,
        records: Records,
        claims: Sequence[int],
        patterns: Sequence[Claims],
    ) -> None:
        """Append some records; their claims are places in `patterns`."""
        count, most = len(records), self._slice_records
        if self._pending is None and count <= most <= 2 * count:
            ids, others = records.ids_encoded, records.others_encoded
            self._write(encoded(ids, claims, patterns, others), count)
            return
        block = PricedRecords(
            numbers=records.numbers,
            company_ids=records.company_ids,
            person_ids=records.person_ids,
            claims=claims,
            patterns=patterns,
            others=records.others,
        )
        pending = block if self._pending is None else joined(self._pending, block)
        first = 0
        while len(pending) - first >= most:
            self._write(pending.part(first, first + most).encoded(), most)
            first += most
        rest = pending.part(first, len(pending))
        self._pending = rest if len(rest) else None

    def flush(self) -> None:
        """End the slice that is being written."""
        if self._pending is not None:
            self._write(self._pending.encoded(), len(self._pending))
            self._pending = None

    def _write(self, data: bytes, count: int) -> None:
        self.slices.append(Slice(self._draft.bytes, len(data), count))
        self._draft.write(data)


def read_slice(
    artifacts: Artifacts,
    name: str,
    *,
    first_byte: int,
    size: int,
) -> PricedRecords:
    """The records of one slice. Raises `ArtifactError` where a part of it is gone."""
    with artifacts.open(name) as stream:
        stream.seek(first_byte)
        data = stream.read(size)
    if len(data) < size:
        raise ArtifactError(f"{name} is shorter than it was written")
    return parse(data)
