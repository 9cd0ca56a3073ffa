"""Uploading and quoting against keeping and parsing the same file with `csv`."""

import csv
import os
import time
from pathlib import Path
from typing import NamedTuple

from bench.installations.contacts import csv_of
from bench.installations.exports import quote_of, upload_of
from bench.installations.meter import Meter, Usage
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


class _Round(NamedTuple):
    parse_s: float
    kept_s: float
    """Written to disk, parsed, and duplicates told: what an upload answers."""
    distinct_s: float
    """Parsed, and duplicates told."""
    upload: Usage
    quote: Usage


def measure(session: Session) -> Section:
    """Parse, upload and quote in turn."""
    count = session.sizes.records
    data = csv_of(count)
    path = session.file("contacts.csv", data)
    installation = session.installation

    def run(number: int) -> _Round:
        parse_s, distinct_s = _parsed(path), _told_apart(path)
        kept_s = _written(path.with_suffix(".kept"), data) + distinct_s
        license_ = installation.new_license()
        with Meter(installation) as uploading:
            upload = upload_of(installation, license_, data)
        with Meter(installation) as quoting:
            quote_of(installation, license_, upload)
        say(
            f"round {number + 1}: parse {parse_s:.3f}, with duplicates told "
            f"{distinct_s:.3f}, upload {uploading.cpu_s:.2f}, "
            f"quote {quoting.cpu_s:.2f} CPU s"
        )
        return _Round(parse_s, kept_s, distinct_s, uploading, quoting)

    rounds = Rounds()
    found = rounds.of(max(3, session.sizes.rounds), run)
    return _section(found, count, rounds.lost)


def _section(found: list[_Round], count: int, lost: list[str]) -> Section:
    parse, kept = [one.parse_s for one in found], [one.kept_s for one in found]
    distinct = [one.distinct_s for one in found]
    upload_s = [one.upload.cpu_s for one in found]
    quote_s = [one.quote.cpu_s for one in found]
    sides = {
        "csv": parse,
        "csv, duplicates told": distinct,
        "the same, and written": kept,
        "upload": upload_s,
        "quote": quote_s,
    }
    return Section(
        title="Upload and quote",
        sizes=f"{count:,} contacts, e-mail and phone wanted",
        figures=[
            Figure(
                what="upload by CPU, of writing the file, `csv` parsing it, duplicates "
                "told",
                held="upload.cpu",
                values=quotients(upload_s, kept),
                goal=at_most(3),
                absolute=f"{spread(upload_s)} against {spread(kept)} CPU s",
            ),
            Figure(
                what="upload by CPU, of `csv` reading the file and no more",
                values=quotients(upload_s, parse),
                absolute=f"{spread(parse)} CPU s",
            ),
            Figure(
                what="quote by CPU, of `csv` parsing the file, duplicates told",
                held="quote.cpu",
                values=quotients(quote_s, distinct),
                goal=at_most(2),
                absolute=f"{spread(quote_s)} against {spread(distinct)} CPU s",
            ),
        ],
        unit="µs of CPU a contact",
        bars=[
            Bar(label=name, parts={"all": [one / count * 1e6 for one in seconds]})
            for name, seconds in sides.items()
        ],
        lost=lost,
    )


def _parsed(path: Path) -> float:
    began_s = time.process_time()
    with path.open(newline="") as file:
        for _ in csv.reader(file):
            pass
    return time.process_time() - began_s


def _written(path: Path, data: bytes) -> float:
    began_s = time.process_time()
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return time.process_time() - began_s


def _told_apart(path: Path) -> float:
    began_s = time.process_time()
    with path.open(newline="") as file:
        seen = {(row[0], row[3]) for row in csv.reader(file)}
    taken_s = time.process_time() - began_s
    seen.clear()
    return taken_s
