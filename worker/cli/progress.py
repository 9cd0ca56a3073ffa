"""Progress on a terminal: how far a file is read, how far a job has come."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import BinaryIO, TextIO

import click

from storage.jobs import job_reports
from storage.jobs.job_reports import JobReport
from storage.state_machine import ENDED
from worker.cli.invocation import Cli
from worker.infrastructure.clock import wait
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused

_LOOK_AGAIN_S = 0.2
_BUFFER_BYTES = 1 << 18


def _terminal(cli: Cli) -> TextIO:
    """Where a bar goes: standard error, and nowhere but to a terminal."""
    return sys.stderr if sys.stderr.isatty() and not cli.json else io.StringIO()


class _Counted(io.RawIOBase):
    """A stream that says how much is read from it."""

    def __init__(self, stream: BinaryIO, count: Callable[[int], None]) -> None:
        self._stream = stream
        self._count = count

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._stream.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._count(len(data))
        return len(data)


@contextmanager
def reading(cli: Cli, file: Path, label: str) -> Iterator[BinaryIO]:
    """Open a file; a bar shows how far it has been read."""
    size = file.stat().st_size
    with (
        file.open("rb") as stream,
        click.progressbar(length=size, label=label, file=_terminal(cli)) as bar,
    ):
        yield io.BufferedReader(_Counted(stream, bar.update), _BUFFER_BYTES)


def report_of(deps: Deps, job_id: str) -> JobReport:
    """The job as it stands. Raises `Refused` where there is none."""
    with deps.database.transaction() as connection:
        report = job_reports.job(connection, job_id)
    if report is None:
        raise Refused(Code.NOT_FOUND, f"there is no job {job_id}")
    return report


def follow(deps: Deps, job_id: str) -> Iterator[JobReport]:
    """The job each time it has moved, until it has ended."""
    never, last = Event(), None
    while True:
        report = report_of(deps, job_id)
        if report != last:
            yield report
        if report.state in ENDED:
            return
        last = report
        wait(never, _LOOK_AGAIN_S)


def follow_with_bar(cli: Cli, deps: Deps, job_id: str) -> JobReport:
    """Follow a job to its end; a bar shows its records."""
    report = report_of(deps, job_id)
    with click.progressbar(
        length=report.records, label=job_id, file=_terminal(cli)
    ) as bar:
        at = 0
        for report in follow(deps, job_id):
            reached = report.delivered + report.excluded + report.rejected
            bar.update(reached - at)
            at = reached
    return report
