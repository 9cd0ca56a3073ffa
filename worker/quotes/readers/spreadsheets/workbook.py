"""XLSX, XLSB, XLS and ODS: the rows of one sheet, its first row with a value first.

A problem's line is the row as the program that made the workbook counts it. Values are
the stored ones, not what is shown: see `sheet_process`, which does the reading.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import orjson

from worker.infrastructure.errors import (
    BadInput,
    Code,
    Problem,
    Refused,
    WorkerError,
    bad,
)
from worker.quotes.readers.csv_dialects.row_block import Header, header_of
from worker.quotes.readers.files.signatures import Kind, archive_in, kind_of
from worker.quotes.readers.table import Noticed, Piece, ReadOptions, Table

_PROGRAM = Path(__file__).with_name("sheet_process.py")
_CPU_S = 1_800
_MESSAGE_BYTES_MAX = 32 << 20
_PASSED_ON = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What Python may need to start: nothing else of ours is for that process."""
_INEXACT = f"may have lost digits: a number above {2**53 - 1}, which no sheet holds"
_XML_BYTES_A_BYTE = 2
"""A sheet takes at least a byte of memory for so many of XML."""


def table(stream: BinaryIO, options: ReadOptions) -> Table:
    """Read the header at once and the rows as they are asked for.

    Raises `BadInput` where it is no workbook, or the sheet is not clear; `Refused`
    where it takes more memory than it may.
    """
    _check_size(stream, options.workbook_bytes_max)
    process = _SheetProcess(stream, options)
    try:
        first = process.message()
        header = header_of(first["header"], first["line"])
    except WorkerError:
        process.close()
        raise
    noticed = Noticed(
        format=kind_of(stream).name.lower(),
        sheet=", ".join(first["read"]),
        sheets=tuple(first["sheets"]),
        empty_columns=len(header.unnamed),
        empty_rows=first["line"] - 1,
    )
    pieces = _pieces(process, header, noticed)
    return Table(header.names, first["line"], pieces, noticed)


def _check_size(stream: BinaryIO, bytes_max: int) -> None:
    """Refuse a sheet that cannot be held, before any work."""
    if kind_of(stream) is Kind.XLS:
        return
    try:
        with archive_in(stream) as archive:
            largest = max((one.file_size for one in archive.infolist()), default=0)
    except zipfile.BadZipFile as error:
        raise bad(None, f"the workbook cannot be read: {error}") from error
    if largest > bytes_max * _XML_BYTES_A_BYTE:
        raise _too_large(bytes_max)


def _too_large(bytes_max: int) -> Refused:
    detail = (
        f"reading the workbook takes more than {bytes_max} bytes of memory: send it as "
        "CSV, or in parts"
    )
    return Refused(Code.TOO_LARGE, detail)


class _SheetProcess:
    """The process that reads; it ends with whoever lets go of it last."""

    def __init__(self, stream: BinaryIO, options: ReadOptions) -> None:
        self._bytes_max = options.workbook_bytes_max
        command = [sys.executable, "-I", str(_PROGRAM)]
        words = [str(self._bytes_max), str(_CPU_S), options.sheet or ""]
        with tempfile.TemporaryFile() as copy:
            self._process = subprocess.Popen(
                [*command, *words],
                stdin=_from_the_start(stream, copy),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={
                    name: os.environ[name] for name in _PASSED_ON if name in os.environ
                },
            )
        self._out = cast("IO[bytes]", self._process.stdout)

    def message(self) -> dict[str, Any]:
        """What it says next. Raises `BadInput` or `Refused` where it says why not."""
        line = self._out.readline(_MESSAGE_BYTES_MAX)
        if not line.endswith(b"\n"):
            self._raise_ended()
        message: dict[str, Any] = orjson.loads(line)
        why = message.get("refused")
        if why == "memory":
            raise _too_large(self._bytes_max)
        if why is not None:
            raise bad(None, str(why))
        return message

    def _raise_ended(self) -> None:
        self._process.kill()
        status = self._process.wait()
        # The library is ended by the system where it gets no memory.
        if status in {-signal.SIGABRT, -signal.SIGSEGV}:
            raise _too_large(self._bytes_max)
        if status == -signal.SIGXCPU:
            raise bad(None, f"the workbook cannot be read within {_CPU_S} s")
        raise bad(None, "the workbook cannot be read: its reader ended")

    def close(self) -> None:
        """End it, if it has not ended."""
        self._out.close()
        self._process.kill()
        self._process.wait()

    def __del__(self) -> None:
        if hasattr(self, "_out"):
            self.close()


def _from_the_start(stream: BinaryIO, copy: BinaryIO) -> BinaryIO | int:
    """The stream as a file that another process reads; its copy where it is none."""
    stream.seek(0)
    try:
        number = stream.fileno()
    except (AttributeError, OSError):
        shutil.copyfileobj(stream, copy)
        copy.seek(0)
        return copy
    os.lseek(number, 0, os.SEEK_SET)
    return number


def _pieces(
    process: _SheetProcess, header: Header, noticed: Noticed
) -> Iterator[Piece]:
    number = 1
    try:
        while "end" not in (message := process.message()):
            piece = _piece(message, header, number)
            number += len(piece.numbers) + len(piece.bad)
            yield piece
        noticed.empty_rows += message["empty_rows"]
        noticed.error_cells = message["error_cells"]
    except BadInput as error:
        # It had begun: what was read before stands.
        noticed.unread.append(f"what lies behind row {number - 1} was not read")
        columns: list[list[str]] = [[] for _ in header.names]
        yield Piece(header.names, columns, (), (), {number: error.problems})
    finally:
        process.close()


def _piece(message: dict[str, Any], header: Header, number: int) -> Piece:
    lines, columns = message["lines"], message["columns"]
    unfit: dict[str, dict[int, str]] = {}
    for at, place in message.get("inexact", ()):
        unfit.setdefault(header.names[at], {})[place] = _INEXACT
    if not message["bad"]:
        numbers = range(number, number + len(lines))
        return Piece(header.names, columns, numbers, lines, {}, unfit)
    bad_at = {
        line: Problem(line, None, f"column {at + 1} {why}" if at is not None else why)
        for line, at, why in message["bad"]
    }
    in_order = sorted([*lines, *bad_at])
    place_of = {line: number + at for at, line in enumerate(in_order)}
    return Piece(
        header.names,
        columns or [[] for _ in header.names],
        [place_of[line] for line in lines],
        lines,
        {place_of[line]: [problem] for line, problem in bad_at.items()},
        unfit,
    )
