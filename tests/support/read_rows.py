"""The rows of an input one by one, as a reader found them."""

from collections.abc import Iterator

from worker.quotes.kept_records import Kept
from worker.quotes.readers.reader import Reading
from worker.quotes.readers.record_columns import Row, Rows
from worker.quotes.readers.records import PERSON_ID, Record


def rows_of(reading: Reading | Kept) -> Iterator[Row]:
    """Each row in its order: a record, or what keeps it from being one."""
    for block in reading.blocks:
        if isinstance(block, Rows):
            records, bad = block.records, block.bad
        else:
            records, bad = block.records, {}
        found: dict[int, Row] = {
            one.number: _without_none(one) for one in records.each()
        }
        found.update(bad)
        yield from (found[number] for number in sorted(found))


def _without_none(record: Record) -> Record:
    """A record that says nothing of a person where it has none."""
    if record.person_id is not None:
        return record
    fields = {name: value for name, value in record.fields.items() if name != PERSON_ID}
    return record._replace(fields=fields)
