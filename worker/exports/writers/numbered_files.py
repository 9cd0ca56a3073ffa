"""A ZIP of numbered files, each with at most so many records and all headings."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import NamedTuple, Self
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from worker.exports.writers.writer import Format, Stream, Target, Writer

EXTENSION = "zip"

MEDIA_TYPE = "application/zip"

_MADE_AT = (1980, 1, 1, 0, 0, 0)
"""The first moment that a ZIP can name, the same for each file."""


class Member(NamedTuple):
    """One of the files."""

    name: str
    records: int
    bytes: int
    sha256: str


@contextmanager
def open_numbered(
    target: Target, headings: Sequence[str], format_: Format, records_max: int
) -> Iterator["Numbered"]:
    """Open a ZIP; at the end its `members` are complete. It has one file at least."""
    stream = Stream(target)
    archive = ZipFile(stream, "w", ZIP_DEFLATED)
    try:
        with Numbered(
            archive, headings, format_, records_max, stream.check
        ) as numbered:
            yield numbered
        archive.close()
        stream.check()
    except BaseException:
        stream.abandon()
        archive.close()
        raise


class Numbered:
    """Writes rows into the file that has room for them."""

    def __init__(
        self,
        archive: ZipFile,
        headings: Sequence[str],
        format_: Format,
        records_max: int,
        check: Callable[[], None],
    ) -> None:
        self._archive = archive
        self._headings = headings
        self._format = format_
        self._records_max = records_max
        self._check = check
        self._open = ExitStack()
        self.members: list[Member] = []

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._end()
        else:
            self._open.__exit__(*error)  # type: ignore[arg-type]  # as they came

    def add(self, rows: Iterable[Sequence[str]]) -> None:
        """Append rows, in a further file where this one is full."""
        waiting = iter(rows)
        while batch := list(islice(waiting, self._records_max - self._records or 1)):
            if self._records == self._records_max:
                self._end()
                self._begin()
            self._writer.add(batch)
            self._records += len(batch)
            self._check()

    def _begin(self) -> None:
        number = len(self.members) + 1
        self._name = f"records-{number:04d}.{self._format.extension}"
        self._records = 0
        entry = ZipInfo(self._name, _MADE_AT)
        entry.compress_type = ZIP_DEFLATED
        # How large it becomes is not known before it is written.
        stream = self._archive.open(entry, "w", force_zip64=True)
        self._counted = _Counted(self._open.enter_context(stream))
        self._writer: Writer = self._open.enter_context(
            self._format.open(self._counted, self._headings)
        )

    def _end(self) -> None:
        self._open.close()
        counted = self._counted
        self.members.append(
            Member(self._name, self._records, counted.bytes, counted.sha256)
        )


class _Counted:
    """Counts and digests what goes through it."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._digest = hashlib.sha256()
        self.bytes = 0

    def write(self, data: bytes, /) -> None:
        self._target.write(data)
        self._digest.update(data)
        self.bytes += len(data)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()
