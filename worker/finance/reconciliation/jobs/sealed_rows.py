"""A sealed file's rows, read back with other tools than wrote it.

The file is copied beside this process once, which tells its size and digest; its rows
come from the copy, one by one, whatever its format.
"""

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO, Any
from xml.etree import ElementTree as ET
from zipfile import ZipFile

import orjson
from pyarrow import parquet  # type: ignore[import-untyped]

from storage.files.artifacts import Artifacts

_BLOCK = 1 << 20
_SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"

Row = Sequence[str]


class SealedCopy:
    """A file as it lies in the store: its size, its digest, its rows."""

    def __init__(self, stream: IO[bytes], bytes_: int, sha256: str) -> None:
        self._stream = stream
        self.bytes = bytes_
        self.sha256 = sha256

    def rows(self, extension: str, delimiter: str) -> Iterator[Row]:
        """All rows under the headings, in their order.

        Raises `ValueError`, or what a format's reader raises, where it is none.
        """
        self._stream.seek(0)
        yield from _rows(self._stream, extension, delimiter)


@contextmanager
def sealed_copy(artifacts: Artifacts, name: str) -> Iterator[SealedCopy]:
    """A file's copy for as long as the block. Raises `ArtifactError`."""
    digest, size = hashlib.sha256(), 0
    with TemporaryFile(prefix="holdfast-sealed-") as copy:
        with artifacts.open(name) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                size += len(block)
                copy.write(block)
        yield SealedCopy(copy, size, digest.hexdigest())


def _rows(stream: IO[bytes], extension: str, delimiter: str) -> Iterator[Row]:
    match extension:
        case "csv":
            yield from _csv(stream, delimiter)
        case "jsonl":
            yield from (list(orjson.loads(line).values()) for line in stream)
        case "parquet":
            yield from _parquet(stream)
        case "xlsx":
            yield from _xlsx(stream)
        case "zip":
            yield from _zip(stream, delimiter)
        case _:
            raise ValueError(f"no file ends with {extension}")


def _csv(stream: IO[bytes], delimiter: str) -> Iterator[Row]:
    text = io.TextIOWrapper(stream, "utf-8-sig", newline="")
    try:
        rows = csv.reader(text, delimiter=delimiter, strict=True)
        next(rows, None)
        yield from rows
    finally:
        text.detach()


def _parquet(stream: Any) -> Iterator[Row]:  # noqa: ANN401 - pyarrow ships no types
    for batch in parquet.ParquetFile(stream).iter_batches(1_000):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _xlsx(stream: IO[bytes]) -> Iterator[Row]:
    with ZipFile(stream) as book:
        names = [name for name in book.namelist() if "/worksheets/sheet" in name]
        for name in sorted(names, key=lambda one: (len(one), one)):
            with book.open(name) as sheet:
                yield from _sheet(sheet)


def _sheet(sheet: IO[bytes]) -> Iterator[Row]:
    width: int | None = None
    parser = ET.iterparse(sheet, events=("start", "end"))  # noqa: S314 - ours
    rows = None
    for event, element in parser:
        if event == "start" and element.tag == f"{_SHEET}sheetData":
            rows = element
        if event != "end" or element.tag != f"{_SHEET}row":
            continue
        cells: list[str] = []
        for cell in element:
            place = _column(cell.get("r", ""))
            cells += [""] * (place - len(cells))
            cells.append("".join(cell.itertext()))
        # Empty cells at a row's end are not there.
        if width is None:
            width = len(cells)
        else:
            yield cells + [""] * (width - len(cells))
        if rows is not None:
            rows.clear()


def _column(reference: str) -> int:
    """The column that a cell's name begins with, from 0."""
    place = 0
    for letter in reference:
        if not letter.isalpha():
            break
        place = place * 26 + ord(letter) - ord("A") + 1
    return max(0, place - 1)


def _zip(stream: IO[bytes], delimiter: str) -> Iterator[Row]:
    with ZipFile(stream) as archive:
        for name in archive.namelist():
            with archive.open(name) as member, TemporaryFile() as copy:
                while block := member.read(_BLOCK):
                    copy.write(block)
                copy.seek(0)
                yield from _rows(copy, name.rpartition(".")[2], delimiter)
