"""What a chunk is to another engine: a slice of the same file as one task.

Twice: as one would write it first, with an object for each thing of each record, and
by columns with the product's own statements. Both look up as the product does.
"""

import csv
import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import text

from bench.rivals import product, row_statements
from storage.database import Database
from storage.ledger.settlement import Payer

_BATCH = 500
_COLUMNS_BATCH = 1000


class Slice(NamedTuple):
    """Where a chunk's rows lie in the file, and the number of the first."""

    first_byte: int
    size: int
    first: int


def slices(data: bytes, records: int) -> list[Slice]:
    """A file with headings in slices of so many records."""
    lines = data.splitlines(keepends=True)
    at, found = len(lines[0]), []
    for start in range(1, len(lines), records):
        size = sum(map(len, lines[start : start + records]))
        found.append(Slice(at, size, start))
        at += size
    return found


@cache
def _database() -> Database:
    """A worker's one connection, opened by the first task."""
    return product.opened(os.environ["RIVAL_DATABASE"]).__enter__()


def run(payer: dict[str, Any], path: str, place: Sequence[int], folder: str) -> None:
    """Run a chunk, and end the job where it was the last one."""
    by_columns = os.environ.get("RIVAL_STYLE") == "columns"
    job, (first_byte, size, first) = product.payer_from_json(payer), place
    with Path(path).open("rb") as file:
        file.seek(first_byte)
        rows = csv.reader(io.StringIO(file.read(size).decode()))
    batches = _batches(list(rows), first, _COLUMNS_BATCH if by_columns else _BATCH)
    for start, batch in batches:
        part = Path(folder) / f"{start:09d}.csv"
        (_by_columns if by_columns else _by_rows)(job, start, batch, part)
    _end(job, Path(folder))


def _batches(
    rows: list[list[str]], first: int, size: int
) -> Iterator[tuple[int, list[list[str]]]]:
    for at in range(0, len(rows), size):
        yield first + at, rows[at : at + size]


def _by_rows(payer: Payer, start: int, rows: list[list[str]], part: Path) -> None:
    with _database().transaction() as connection:
        found = product.look_up(connection, {row[3] for row in rows})
    batch = [(number, row, found.get(row[3])) for number, row in enumerate(rows, start)]
    out = []
    for _, row, one in batch:
        email, phone = (one.email, one.phone) if one else (None, None)
        status = one.email_status if one and email else ""
        out.append([*row, email or "", status, phone or ""])
    _write(part, out)
    with _database().transaction() as connection:
        row_statements.settle_rows(connection, payer, batch)


def _by_columns(payer: Payer, start: int, rows: list[list[str]], part: Path) -> None:
    columns = list(zip(*rows, strict=True))
    companies, persons = columns[0], columns[3]
    with _database().transaction() as connection:
        found = product.look_up(connection, persons)
    ones = [found.get(person) for person in persons]
    emails = [one.email or "" if one else "" for one in ones]
    statuses = [one.email_status if one and one.email else "" for one in ones]
    phones = [one.phone or "" if one else "" for one in ones]
    _write(part, zip(*columns, emails, statuses, phones, strict=True))
    with _database().transaction() as connection:
        owns = [product.own_digest(row) for row in rows]
        batch = product.Contacts(start, companies, persons, emails, phones, owns)
        product.settle_columns(connection, payer, batch)


def _write(part: Path, rows: Any) -> None:  # noqa: ANN401 - what csv takes
    with part.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
        file.flush()
        os.fsync(file.fileno())


def _end(payer: Payer, folder: Path) -> None:
    job = {"job": payer.job_id}
    less = text("UPDATE rival_jobs SET open = open - 1 WHERE job = :job RETURNING open")
    with _database().transaction() as connection:
        left = connection.execute(less, job).scalar_one()
    if left:
        return
    _seal(folder)
    with _database().transaction() as connection:
        product.close(connection, payer.job_id)
        ended = "UPDATE rival_jobs SET done = clock_timestamp() WHERE job = :job"
        connection.execute(text(ended), job)


def _seal(folder: Path) -> None:
    """One file of all parts, and its digest."""
    digest = hashlib.sha256()
    with (folder / "out.csv").open("wb") as out:
        for part in sorted(folder.glob("0*.csv")):
            data = part.read_bytes()
            out.write(data)
            digest.update(data)
        out.flush()
        os.fsync(out.fileno())
