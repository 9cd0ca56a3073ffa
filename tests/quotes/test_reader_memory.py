"""No file of any kind makes a process grow by more than 100 MiB, however it is made."""

from pathlib import Path

import pytest

from tests.support import peak_memory

_MIB_MAX = 100

_READ = """
import sys
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from worker.quotes.intake import taken_in
from worker.quotes.readers.formats import BY_SUFFIX

kind, path = sys.argv[1], Path(sys.argv[2])
LONG = "x" * 900_000
PAGES = {"data_page_size": 1 << 20, "compression": "zstd"}


def write():
    if kind == "lines":
        line = '{"company_id": "%d", "x": "' + LONG + '"}\\n'
        path.write_text("".join(line % n for n in range(150)))
    elif kind == "wide lines":
        cell = LONG[:800_000] + "\\\\ud83d\\\\ude00"
        cells = ", ".join(f'"x{n}": "{cell}"' for n in range(9))
        lines = ['{"company_id": "%d", %s}\\n' % (n, cells) for n in range(9)]
        path.write_text("".join(lines))
    else:
        values, more = [LONG] * 150, {}
        if kind == "plain":
            more = {"use_dictionary": False}
        elif kind == "prefixes":
            encodings = {"x": "DELTA_BYTE_ARRAY"}
            more = {"use_dictionary": False, "column_encoding": encodings}
        ids = [str(n) for n in range(len(values))]
        arrays = {"company_id": ids, "x": values}
        schema = pa.schema([("company_id", pa.string()), ("x", pa.string())])
        with parquet.ParquetWriter(path, schema, **PAGES, **more) as out:
            whole = pa.table({name: pa.array(v[:15]) for name, v in arrays.items()})
            out.write_table(pa.concat_tables([whole] * 10))


def read():
    read_as = BY_SUFFIX[".parquet" if path.suffix == ".parquet" else ".jsonl"].read
    before = peak_kib()
    with path.open("rb") as stream:
        with taken_in(read_as(stream).blocks, 1_000_000, skip_bad=False) as intake:
            assert not intake.problems.total, intake.problems.first
            for block in intake.blocks():
                assert len(block.records)
    print(peak_kib() - before)


if len(sys.argv) > 3:
    write()
else:
    from worker.quotes.readers.parquet import parquet_file
    read()
"""


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        ("dictionary", ".parquet"),
        pytest.param("plain", ".parquet", marks=pytest.mark.slow),
        pytest.param("prefixes", ".parquet", marks=pytest.mark.slow),
        pytest.param("lines", ".jsonl", marks=pytest.mark.slow),
        ("wide lines", ".jsonl"),
    ],
)
def test_a_file_of_large_values_takes_little_memory(tmp_path, kind, suffix):
    path = Path(tmp_path) / f"large{suffix}"
    peak_memory.run(_READ, kind, str(path), "write")
    grown = int(peak_memory.run(_READ, kind, str(path))) / 1024
    print(f"{grown:.0f} MiB for {kind}")
    assert grown <= _MIB_MAX
