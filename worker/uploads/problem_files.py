"""All problems of an upload as a file beside it, up to as many as the settings keep.

Its first line says how many there were and how many it holds; then each has a line of
its own, `[line, field, message]`.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import IO, NamedTuple

from storage.errors import DiskFull
from storage.files.artifacts import Artifacts
from worker.infrastructure.errors import Problem
from worker.quotes.problems import Problems

_HELD_BYTES = 1 << 20
_PIECE_BYTES = 1 << 18


class KeptProblems(NamedTuple):
    """What a file holds: `kept` of `total` problems, and whether they refused it."""

    total: int
    kept: int
    refused: bool


NO_PROBLEMS = KeptProblems(0, 0, refused=False)


class ProblemSpool:
    """Problems on their way into a file: `problems` counts them as they are found."""

    def __init__(self, spool: IO[bytes], kept_max: int) -> None:
        self._spool = spool
        self._kept_max = kept_max
        self._kept = 0
        self.problems = Problems(self._add)

    def _add(self, found: list[Problem]) -> None:
        for problem in found[: self._kept_max - self._kept]:
            self._kept += 1
            try:
                self._spool.write(json.dumps(problem).encode() + b"\n")
            except OSError as error:
                raise DiskFull("no room left for what is wrong") from error

    def write(self, artifacts: Artifacts, name: str, *, refused: bool = False) -> None:
        """Make a file of all that were found. Raises `DiskFull` or `ArtifactError`."""
        head = KeptProblems(self.problems.total, self._kept, refused)
        self._spool.seek(0)
        with artifacts.create(name) as draft:
            draft.write(json.dumps(head._asdict()).encode() + b"\n")
            while piece := self._spool.read(_PIECE_BYTES):
                draft.write(piece)


@contextmanager
def spooled(kept_max: int) -> Iterator[ProblemSpool]:
    """A place for problems while a file is read; the first so many are kept."""
    with SpooledTemporaryFile(_HELD_BYTES) as spool:
        yield ProblemSpool(spool, kept_max)


def head_of(artifacts: Artifacts, name: str) -> KeptProblems:
    """How many problems a file holds, and of how many."""
    with artifacts.open(name) as stream:
        return KeptProblems(**json.loads(stream.readline()))


def problems_in(
    artifacts: Artifacts, name: str, *, after: int = 0
) -> Iterator[Problem]:
    """The problems that a file holds, behind the first `after`."""
    with artifacts.open(name) as stream:
        for line in islice(stream, after + 1, None):
            yield Problem(*json.loads(line))
