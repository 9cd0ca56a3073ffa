"""One file, read by the product or by its format's own library: what that alone costs.

python -m bench.rivals.formats.format_reads product|library FORMAT SMALL PATH

A small file is read first: what is loaded then belongs to no row.
"""

import gc
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
from pyarrow import parquet
from python_calamine import CalamineWorkbook

from bench.rivals import product

Read = Callable[[str, Path], int]
"""Reads a file of a format to its end; how many rows it has."""


def _json_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(len([*json.loads(line).values()]) > 0 for line in file)


def _parquet(path: Path) -> int:
    rows = 0
    # From the system's memory, as the product has it: what is freed is given back.
    pa.set_memory_pool(pa.system_memory_pool())
    with parquet.ParquetFile(path, pre_buffer=False) as file:
        for batch in file.iter_batches(1_000, use_threads=False):
            for column in batch.columns:
                column.to_pylist()
            rows += batch.num_rows
    return rows


def _xlsx(path: Path) -> int:
    book = CalamineWorkbook.from_path(path)
    sheets = map(book.get_sheet_by_name, book.sheet_names)
    return sum(sum(1 for _ in sheet.iter_rows()) - 1 for sheet in sheets)


LIBRARIES: dict[str, Callable[[Path], int]] = {
    "jsonl": _json_lines,
    "parquet": _parquet,
    "xlsx": _xlsx,
}
"""By format: its own library makes Python's values of the same cells."""


def _library(format_name: str, path: Path) -> int:
    return LIBRARIES[format_name](path)


_SIDES: dict[str, Read] = {"product": product.read, "library": _library}


def _peak_mib() -> float:
    """The most that this process has held; not whoever started it, as `ru_maxrss`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kib,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kib) / 1024


def _cpu_s() -> float:
    """What this process and those that it has waited for have taken."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def main() -> None:
    """Print how many rows there are, and what reading them took."""
    side, format_name, small, path = sys.argv[1:]
    _SIDES[side](format_name, Path(small))
    gc.freeze()
    before_mib, began_s = _peak_mib(), _cpu_s()
    rows = _SIDES[side](format_name, Path(path))
    cpu_s, grown_mib = _cpu_s() - began_s, _peak_mib() - before_mib
    print(json.dumps({"rows": rows, "cpu_s": cpu_s, "grown_mib": grown_mib}))


if __name__ == "__main__":
    main()
