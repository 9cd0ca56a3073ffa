"""Real workers and dispatchers as processes, and jobs for them with known answers."""

import csv
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import psutil
from sqlalchemy import text

from pricing.findings import EmailLevel
from pricing.plans import Item, PaymentTerm, Plan
from storage.jobs import job_reports
from storage.jobs.job_reports import JobReport
from storage.quotes import quotes
from storage.state_machine import ENDED
from tests.exports.opened_files import WRITERS, Table
from worker.findings.directory_import import load_directory
from worker.infrastructure.settings import Settings
from worker.jobs import submission
from worker.licenses import licenses
from worker.quotes import quote_maker
from worker.quotes.readers.formats import CSV
from worker.wiring import Wired, wire

_T = TypeVar("_T")

LICENSE = "acme"
_PERSONS_A_COMPANY = 5
_WITHIN_S = 90.0
_LOOK_S = 0.02

QUICK = {
    "LEASE_S": "2",
    "SWEEP_INTERVAL_S": "0.2",
    "DISPATCH_INTERVAL_S": "0.05",
    "MESSAGE_LOST_S": "1.5",
    "RETRY_BASE_S": "0.1",
    "REPORT_INTERVAL_S": "0.5",
    "VISIBILITY_TIMEOUT_S": "5",
    "CHUNK_RECORDS": "40",
    "BATCH_RECORDS": "4",
    "WORKER_CONCURRENCY": "2",
}
"""Leases, sweeps and slices so small that a test sees each of them many times."""


def until(found: Callable[[], _T], *, within_s: float = _WITHIN_S) -> _T:
    """Wait until something holds, and return it."""
    give_up_s = time.monotonic() + within_s
    while not (value := found()):
        assert time.monotonic() < give_up_s, f"waited {within_s} s in vain"
        time.sleep(_LOOK_S)
    return value


class Answer(NamedTuple):
    """What a job of so many persons must come to."""

    persons: int
    settled: int
    emails: int
    phones: int


def _fitting(settings: dict[str, str]) -> dict[str, str]:
    """Settings whose messages stay hidden for longer than a lease lasts."""
    lease_s, hidden_s = (
        float(settings["LEASE_S"]),
        int(settings["VISIBILITY_TIMEOUT_S"]),
    )
    return settings | {"VISIBILITY_TIMEOUT_S": str(max(hidden_s, int(lease_s) + 3))}


class Fleet:
    """Processes on one database and one broker; all of them end with the block."""

    def __init__(
        self, folder: Path, database_url: str, broker_url: str, **settings: str
    ) -> None:
        given = _fitting(QUICK | settings)
        self._env = dict(os.environ) | {
            "HOLDFAST_HOME": str(folder),
            "HOLDFAST_DATABASE_URL": database_url,
            "HOLDFAST_BROKER_URL": broker_url,
            **{f"HOLDFAST_{name}": value for name, value in given.items()},
        }
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        urls = {"home": folder, "database_url": database_url, "broker_url": broker_url}
        quick = {name.lower(): value for name, value in given.items()}
        self.deps: Wired = wire(Settings(**(urls | quick)))

    def start(self, *names: str, **settings: str) -> list[subprocess.Popen[bytes]]:
        """Start one process for each name, `worker` or `dispatcher`.

        `settings` are theirs alone.
        """
        given = {f"HOLDFAST_{name}": value for name, value in settings.items()}
        started = [self._start(name, self._env | given) for name in names]
        self._processes += started
        return started

    def _start(self, name: str, env: dict[str, str]) -> subprocess.Popen[bytes]:
        number = len(list(self._folder.glob("*.log")))
        with (self._folder / f"{name}-{number}.log").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "worker.cli", name],
                env=env,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def log(self) -> str:
        """All that the processes have said."""
        paths = sorted(self._folder.glob("*.log"))
        return "\n".join(path.read_text(errors="replace") for path in paths)

    def stop(self) -> None:
        """End everything, frozen or not."""
        for process in self._processes:
            kill(process)
        self.deps.crms.close()
        self.deps.database.close()

    def scalar(self, query: str, **parameters: object) -> int:
        """One number from the database."""
        with self.deps.database.transaction() as connection:
            found: int = connection.execute(text(query), parameters).scalar_one()
        return found

    def report(self, job_id: str) -> JobReport:
        """The job as it stands."""
        with self.deps.database.transaction() as connection:
            found = job_reports.job(connection, job_id)
        assert found is not None
        return found

    def reached(self, job_id: str, records: int) -> JobReport:
        """Wait until a job has dealt with so many records."""

        def look() -> JobReport | None:
            report = self.report(job_id)
            return report if report.delivered >= records else None

        found = until(look)
        assert found is not None
        return found

    def ended(self, job_id: str, *, within_s: float = _WITHIN_S) -> JobReport:
        """Wait until a job has ended."""

        def look() -> JobReport | None:
            report = self.report(job_id)
            return report if report.state in ENDED else None

        found = until(look, within_s=within_s)
        assert found is not None
        return found


@contextmanager
def fleet_of(
    folder: Path, database_url: str, broker_url: str, **settings: str
) -> Iterator[Fleet]:
    """A fleet with nothing started yet, and a license."""
    folder.mkdir()
    fleet = Fleet(folder, database_url, broker_url, **settings)
    try:
        licenses.create_license(
            fleet.deps,
            licenses.NewLicense(
                id=LICENSE,
                name="Acme",
                plan=Plan.V2,
                payment_term=PaymentTerm.MONTHLY,
                credits=10_000_000,
            ),
        )
        yield fleet
    except BaseException:
        sys.stdout.write(fleet.log()[-20_000:])
        raise
    finally:
        fleet.stop()


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL a process and all of its children, as the machine's end would."""
    with_children = [process.pid]
    if psutil.pid_exists(process.pid):
        children = psutil.Process(process.pid).children(recursive=True)
        with_children += [child.pid for child in children]
    for pid in with_children:
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGKILL)
    process.wait()


# -- Jobs with known answers --------------------------------------------------


def email_of(number: int) -> bool:
    return number % 3 != 0


def phone_of(number: int) -> bool:
    return number % 2 == 0


def directory_lines(count: int) -> Iterator[bytes]:
    """A directory's file: e-mails for two of three, phones for every second."""
    return (
        json.dumps(
            {
                "person_id": f"p{number}",
                "email": f"p{number}@example.com" if email_of(number) else None,
                "email_status": "valid",
                "phone": f"+1 555 {number}" if phone_of(number) else None,
            },
        ).encode()
        for number in range(count)
    )


def load_persons(deps: Wired, count: int) -> None:
    """Fill the directory."""
    load_directory(deps, directory_lines(count))


def answer(first: int, stop: int) -> Answer:
    """What the persons from `first` to `stop` cost a license that had none of them."""
    numbers = range(first, stop)
    companies = len({number // _PERSONS_A_COMPANY for number in numbers})
    emails = sum(map(email_of, numbers))
    phones = sum(map(phone_of, numbers))
    return Answer(len(numbers), companies + emails + 2 * phones, emails, phones)


def submit(deps: Wired, first: int, stop: int, format_: str = "csv") -> str:
    """Quote and enqueue an export of the persons from `first` to `stop`."""
    rows = [
        [f"c{number // _PERSONS_A_COMPANY}", f"p{number}"]
        for number in range(first, stop)
    ]
    data = io.StringIO()
    csv.writer(data).writerows([["company_id", "person_id"], *rows])
    request = quotes.Request(
        kind="export",
        license_id=LICENSE,
        user_id="u",
        retrieve=(Item.EMAIL, Item.PHONE),
        email_level=EmailLevel.VERIFIED,
        only_with=None,
        export={"format": format_},
    )
    reading = CSV.read(io.BytesIO(data.getvalue().encode()))
    return submission.submit(deps, quote_maker.quote(deps, request, reading).id)


def assert_exact(fleet: Fleet, job_id: str, first: int, stop: int) -> None:
    """The job succeeded once, with the right charges and the right file."""
    report, right = fleet.ended(job_id), answer(first, stop)
    assert (report.state, report.delivered) == ("succeeded", right.persons)
    assert (report.settled, report.emails_found, report.phones_found) == right[1:]
    assert report.released == report.reserved - report.settled
    assert completions(fleet, job_id) == 1
    assert_file(fleet, report, range(first, stop))


def completions(fleet: Fleet, job_id: str) -> int:
    """How often a job was completed: each time would release and announce."""
    released = fleet.scalar(
        """SELECT count(*) FROM transfers AS t JOIN reservations AS r
             ON r.id = t.reservation_id WHERE r.job_id = :id AND t.kind = 'release'""",
        id=job_id,
    )
    announced = fleet.scalar(
        "SELECT count(*) FROM events WHERE type = 'job.finished' AND subject = :id",
        id=job_id,
    )
    assert released == announced
    return announced


def assert_file(fleet: Fleet, report: JobReport, persons: range) -> None:
    """The file holds what was charged and nothing else, in the records' own order."""
    assert report.file_artifact is not None
    with fleet.deps.artifacts.open(report.file_artifact) as stream:
        data = stream.read()
    assert len(data) == report.file_bytes
    assert hashlib.sha256(data).hexdigest() == report.file_sha256
    headings, rows = _opened(report, data)
    assert headings == ["company_id", "person_id", "email", "email_status", "phone"]
    assert rows == [
        [
            f"c{number // _PERSONS_A_COMPANY}",
            f"p{number}",
            f"p{number}@example.com" if email_of(number) else "",
            "valid" if email_of(number) else "",
            f"+1 555 {number}" if phone_of(number) else "",
        ]
        for number in persons
    ]


def _opened(report: JobReport, data: bytes) -> Table:
    """The file as a library reads it that had no part in writing it."""
    assert report.file_artifact is not None
    _, read = WRITERS[report.file_artifact.rpartition(".")[2]]
    return read(data)
