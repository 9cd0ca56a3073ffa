"""Uploading a million records takes little more memory than ten thousand."""

from pathlib import Path

import pytest

from tests.support import peak_memory

_MIB_A_MILLION = 150
_FIRST_MIB = 30
_MILLION = 1_000_000

_UPLOAD = """
import csv, io, json, sys
from contextlib import closing
from pathlib import Path

from tests.support import job_runs
from worker.quotes import uploads
from worker.quotes.readers.formats import BY_SUFFIX

step, url, suffix = sys.argv[1], sys.argv[2], sys.argv[4]
folder, count = Path(sys.argv[3]), int(sys.argv[5])
NAMES = ("company_id", "company_name", "person_id", "first_name", "last_name")


def rows(first, last):
    for n in range(first, last):
        yield f"company-{n:08d}", f"Company {n}", f"person-{n:08d}", "Ada", f"Name {n}"


def write(path):
    if suffix == ".parquet":
        import pyarrow as pa
        from pyarrow import parquet

        schema = pa.schema([(name, pa.string()) for name in NAMES])
        with parquet.ParquetWriter(path, schema) as out:
            for first in range(0, count, 10_000):
                cells = zip(*rows(first, min(first + 10_000, count)))
                arrays = [pa.array(column) for column in cells]
                out.write_table(pa.table(arrays, schema=schema), row_group_size=10_000)
        return
    with path.open("w", newline="") as out:
        if suffix == ".csv":
            csv.writer(out).writerows([NAMES])
            csv.writer(out).writerows(rows(0, count))
        else:
            out.writelines(
                json.dumps(dict(zip(NAMES, row))) + "\\n" for row in rows(0, count)
            )


deps = job_runs.wire_to(url, folder)
with closing(deps.database):
    path = folder / f"records{suffix}"
    if step == "write":
        job_runs.create_license(deps)
        write(path)
    else:
        small = b"company_id\\na\\n"
        uploads.upload(
            deps, "acme", BY_SUFFIX[".csv"].read(io.BytesIO(small)), skip_bad=False
        )
        if suffix == ".parquet":
            from worker.quotes.readers.parquet import parquet_file
        before = peak_kib()
        with path.open("rb") as stream:
            stored = uploads.upload(
                deps, "acme", BY_SUFFIX[suffix].read(stream), skip_bad=False
            )
        assert stored.records == stored.companies == stored.persons == count
        print(peak_kib() - before)
"""


def _growth_mib(url: str, folder: Path, suffix: str, count: int) -> float:
    """By how much an upload's peak is above the process before it."""
    words = (url, str(folder), suffix, str(count))
    peak_memory.run(_UPLOAD, "write", *words)
    return int(peak_memory.run(_UPLOAD, "upload", *words)) / 1024


@pytest.mark.parametrize(
    "suffix",
    [
        ".csv",
        pytest.param(".jsonl", marks=pytest.mark.slow),
        pytest.param(".parquet", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    "count", [100_000, pytest.param(1_000_000, marks=pytest.mark.full)]
)
def test_memory_grows_by_little(database_url, tmp_path, suffix, count):
    grown = _growth_mib(database_url, tmp_path, suffix, count)
    print(f"{grown:.0f} MiB for {count:,} records")
    # What a first file costs at all counts for more where it is small.
    fixed_mib = _FIRST_MIB if count < _MILLION else 0
    assert grown <= fixed_mib + _MIB_A_MILLION * count / _MILLION
