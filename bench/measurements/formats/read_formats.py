"""Reading a file's records against its format's own library, which has its cells."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench.installations.contacts import COLUMNS, row
from bench.installations.installation import Differs
from bench.measurements.session import Session
from bench.report.figures import (
    Bar,
    Figure,
    Rounds,
    Section,
    at_most,
    quotients,
    say,
    spread,
)
from bench.rivals import product
from bench.rivals.formats.format_reads import LIBRARIES
from bench.rivals.side_processes import run_module

_COLUMNS = 20
_OTHERS = tuple(f"field_{number}" for number in range(len(COLUMNS), _COLUMNS))
_SMALL = 2_000
"""Rows of the file that is read before anything counts."""
_CPU_MAX, _GROWN_MIB_MAX = 1.5, 100


class _Side(NamedTuple):
    """What reading a file took one process."""

    rows: int
    cpu_s: float
    grown_mib: float


class _Round(NamedTuple):
    library: _Side
    ours: _Side


def measure(session: Session) -> Section:
    """Read each format by its library and by the product in turn."""
    count, lost = session.sizes.read, list[str]()
    found: dict[str, list[_Round]] = {}
    with TemporaryDirectory(prefix="holdfast-read-") as folder:
        for name in filter(product.reads, LIBRARIES):
            small, path = (
                Path(folder) / f"{size}.{name}" for size in ("small", "file")
            )
            for file, rows in ((small, _SMALL), (path, count)):
                product.write_file(name, file, (*COLUMNS, *_OTHERS), _rows(rows))
            rounds = Rounds()
            run = partial(_round, name, small, path, count)
            found[name] = rounds.of(session.sizes.rounds, run)
            lost += [f"{name}, {one}" for one in rounds.lost]
            path.unlink()
    return _section(found, count, lost)


def _rows(count: int) -> Iterator[list[str]]:
    for number in range(count):
        spread_out = number * 7919 % 1_000_003
        yield [*row(number), *(f"{one} of {spread_out}" for one in _OTHERS)]


def _round(name: str, small: Path, path: Path, count: int, number: int) -> _Round:
    library, ours = (
        _read(side, name, small, path, count) for side in ("library", "product")
    )
    say(
        f"round {number + 1} of {name}: library {library.cpu_s:.2f} CPU s and "
        f"{library.grown_mib:.0f} MiB, Holdfast {ours.cpu_s:.2f} and "
        f"{ours.grown_mib:.0f}"
    )
    return _Round(library, ours)


def _read(side: str, name: str, small: Path, path: Path, count: int) -> _Side:
    """Read in a process of its own. Raises `Differs` where rows are missing."""
    words = side, name, str(small), str(path)
    found = _Side(**run_module("bench.rivals.formats.format_reads", *words))
    if found.rows != count:
        raise Differs(f"{side} found {found.rows} of {count} rows")
    return found


def _section(found: dict[str, list[_Round]], count: int, lost: list[str]) -> Section:
    figures: list[Figure] = []
    bars: list[Bar] = []
    for name, rounds in found.items():
        figures += _figures(name, rounds)
        bars += [
            _bar(f"{name}, library alone", [one.library for one in rounds], count),
            _bar(f"{name}, Holdfast", [one.ours for one in rounds], count),
        ]
    return Section(
        title="Reading files",
        sizes=f"{count:,} rows of {_COLUMNS} columns",
        figures=figures,
        unit="µs of CPU a row",
        bars=bars,
        lost=lost,
    )


def _bar(label: str, sides: list[_Side], count: int) -> Bar:
    return Bar(label=label, parts={"own": [one.cpu_s / count * 1e6 for one in sides]})


def _figures(name: str, rounds: list[_Round]) -> list[Figure]:
    library = [one.library.cpu_s for one in rounds]
    ours = [one.ours.cpu_s for one in rounds]
    theirs_mib = [one.library.grown_mib for one in rounds]
    return [
        Figure(
            what=f"reading {name} by CPU, of its library alone",
            held=f"read.{name}.cpu",
            values=quotients(ours, library),
            goal=at_most(_CPU_MAX),
            absolute=f"{spread(ours)} against {spread(library)} CPU s",
        ),
        Figure(
            what=f"peak memory that reading {name} adds",
            values=[one.ours.grown_mib for one in rounds],
            goal=at_most(_GROWN_MIB_MAX),
            unit="MiB",
            absolute=f"its library {spread(theirs_mib)} MiB",
        ),
    ]
