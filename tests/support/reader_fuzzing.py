"""Whatever bytes come, a reader answers rows or says what is wrong: nothing else.

`python -m tests.support.reader_fuzzing SECONDS` lets atheris look for bytes that break
this, led by the branches that it has not seen; `make test-fuzz` does so for an hour.
"""

import csv
import io
import json
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa  # type: ignore[import-untyped]
from pyarrow import parquet

from worker.infrastructure.errors import BadInput
from worker.quotes.readers.bounds import CELL_BYTES_MAX, RECORD_BYTES_MAX
from worker.quotes.readers.formats import BY_SUFFIX

_ROWS_MAX = 10_000
"""A file may say that it has more: they come as they are asked for."""

_ROWS = [
    {"company_id": "a", "person_id": "p", "x": "1.50", "y": "Zoë"},
    {"company_id": "b", "person_id": "", "x": "-0", "y": "a\nb"},
    {"company_id": "", "person_id": "q", "x": "1e3", "y": ""},
]


def read_all(suffix: str, data: bytes) -> None:
    """Read a file as one of a kind, and hold what comes to what is promised."""
    try:
        reading = BY_SUFFIX[suffix].read(io.BytesIO(data))
        rows = 0
        for block in reading.blocks:
            for record in islice(block.records.each(), _ROWS_MAX):
                sizes = [len(cell.encode()) for cell in record.fields.values()]
                assert max(sizes) <= CELL_BYTES_MAX
                assert sum(sizes) <= RECORD_BYTES_MAX
                assert record.company_id
            assert all(block.bad.values())
            rows += len(block)
            if rows > _ROWS_MAX:
                return
    except BadInput as error:
        if not error.problems:
            raise


def _csv() -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(_ROWS[0]))
    writer.writeheader()
    writer.writerows(_ROWS)
    return out.getvalue().encode()


def _lines() -> bytes:
    nested = {"company": {"id": "c", "n": 1.5}, "person": {"id": "p", "title": None}}
    return "\n".join(json.dumps(row) for row in [*_ROWS, nested]).encode()


def _arrow(**options: object) -> bytes:
    columns = {name: [row[name] for row in _ROWS] for name in _ROWS[0]}
    more = {"f": [1.5, None, 2.0**60], "t": pa.array([0, 1, None], pa.timestamp("us"))}
    out = io.BytesIO()
    parquet.write_table(pa.table(columns | more), out, **options)
    return out.getvalue()


SEEDS: dict[str, list[Callable[[], bytes]]] = {
    ".csv": [_csv],
    ".jsonl": [_lines],
    ".parquet": [
        _arrow,
        lambda: _arrow(compression="zstd", row_group_size=1, data_page_version="2.0"),
        lambda: _arrow(use_dictionary=False, compression="gzip"),
    ],
}
"""Files that are in order, to begin with."""


def _fuzz(seconds: str) -> None:
    import atheris  # noqa: PLC0415 - installed for this alone

    kinds = sorted(SEEDS)
    atheris.instrument_all()

    def one(data: bytes) -> None:
        if data:
            read_all(kinds[data[0] % len(kinds)], data[1:])

    with TemporaryDirectory() as corpus:
        for at, suffix in enumerate(kinds):
            for number, make in enumerate(SEEDS[suffix]):
                seed = Path(corpus) / f"{at}-{number}"
                seed.write_bytes(bytes([at]) + make())
        limits = [f"-max_total_time={seconds}", "-rss_limit_mb=2048", "-timeout=20"]
        atheris.Setup([sys.argv[0], *limits, corpus], one)
        atheris.Fuzz()


if __name__ == "__main__":
    _fuzz(sys.argv[1])
