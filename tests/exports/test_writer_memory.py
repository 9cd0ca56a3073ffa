"""A file of a million records takes no more memory to write than one of a thousand."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.exports.opened_files import WRITERS

# A group of rows of Parquet, or what XlsxWriter and zlib hold: a constant, not a share.
_GROWTH_MIB = {"parquet": 60}
_GROWTH_ELSE_MIB = 20

_WRITE = """
import resource, sys, time
from worker.exports.writers.formats import format_of
from worker.exports.writers.numbered_files import open_numbered

name, count, zipped = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "zip"
format_ = format_of(*name.split())
HEADINGS = [f"column {place}" for place in range(20)]


class Nowhere:
    def __init__(self):
        self.bytes = 0

    def write(self, data):
        self.bytes += len(data)


def write(count):
    target = Nowhere()
    opened = (
        open_numbered(target, HEADINGS, format_, 100_000)
        if zipped
        else format_.open(target, HEADINGS)
    )
    with opened as writer:
        for first in range(0, count, 500):
            writer.add(
                [f"value {row * 7919 % 1000003} of {place}" for place in range(20)]
                for row in range(first, min(first + 500, count))
            )
    return target.bytes


def peak_kib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


write(1_000)
before, began = peak_kib(), time.monotonic()
size = write(count)
took = time.monotonic() - began
print(peak_kib() - before, peak_kib(), took, size)
"""

# A process begins with the peak of whoever started it: that must be a small one.
_START = """
import subprocess, sys
sys.exit(subprocess.run([sys.executable, "-c", *sys.argv[1:]]).returncode)
"""


@pytest.mark.parametrize("shape", ["file", pytest.param("zip", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    "count", [20_000, pytest.param(1_000_000, marks=pytest.mark.full)]
)
def test_memory_stays_flat(name, count, shape):
    done = subprocess.run(
        [sys.executable, "-c", _START, _WRITE, name, str(count), shape],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    grown, peak, took, size = done.stdout.split()
    print(
        f"{name} {shape}: {count:,} rows in {float(took):.1f} s, peak "
        f"{int(peak) / 1024:.0f} MiB ({int(grown) / 1024:.0f} more), "
        f"{int(size) / 1e6:.1f} MB"
    )
    assert int(grown) / 1024 <= _GROWTH_MIB.get(name, _GROWTH_ELSE_MIB)
