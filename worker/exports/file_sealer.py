"""The sealer: the parts of a job become its file, and a manifest says what is in it.

No transaction is open meanwhile. Doing it again writes the same bytes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pricing.plans import Item
from storage.errors import InvariantBroken
from storage.exports import file_parts as kept_parts
from storage.files.artifacts import Draft, Written
from storage.jobs import job_reports
from storage.jobs.jobs import Finishing
from storage.quotes import quotes
from worker.exports import file_parts
from worker.exports.export_options import Export, export_of
from worker.exports.file_layout import Layout
from worker.exports.file_names import file_name, media_type
from worker.exports.manifest import SealedJob, manifest, write_manifest
from worker.exports.writers.numbered_files import Member, open_numbered
from worker.exports.writers.writer import Target, Writer
from worker.infrastructure.clock import Stopwatch
from worker.infrastructure.dependencies import Deps
from worker.jobs.delivery import SealedFile

_USED = 1 / 3
"""So much of a lease may pass before it is renewed: it was taken a moment ago."""
_NEARLY_NEW = 1 / 10


def seal(deps: Deps, job: Finishing, renew: Callable[[], None]) -> SealedFile:
    """Write a job's file and its manifest, calling `renew` each third of a lease."""
    told = _look_up(deps, job.id)
    export = export_of(job.export)
    layout = Layout(export, job.columns, [Item(item) for item in job.retrieve])
    lease = _Lease(deps.settings.lease_s, renew)
    sealed_name = file_name(job.id, export)
    name = f"jobs/{job.id}/{sealed_name}"
    members: list[Member] = []
    with deps.artifacts.create(name, media_type=media_type(sealed_name)) as draft:
        target = _Moving(draft, lease)
        with _opened(target, export, layout.headings, members) as writer:
            for part in told.parts:
                lease.keep()
                data = file_parts.read(deps.artifacts, part)
                if file_parts.holds_rows(part):
                    target.write(data)
                else:
                    writer.add(file_parts.cells(data))
            # XLSX is put together at the end: 6 s for a million rows, nothing moves.
            lease.keep(for_long=True)
    file = Written(name, draft.bytes, draft.sha256)
    write_manifest(deps.artifacts, manifest(told, export, layout, file, members))
    return SealedFile(sealed_name, file)


def _look_up(deps: Deps, job_id: str) -> SealedJob:
    with deps.database.reading() as connection:
        request = quotes.request_of_job(connection, job_id)
        report = job_reports.job(connection, job_id)
        if request is None or report is None:
            raise InvariantBroken(f"{job_id} has no quote or no reservation")
        return SealedJob(kept_parts.of_job(connection, job_id), request, report)


class _Lease:
    """Renewed each third of it, as long as something moves."""

    def __init__(self, lease_s: float, renew: Callable[[], None]) -> None:
        self._lease_s = lease_s
        self._renewed = Stopwatch()
        self._renew = renew

    def keep(self, *, for_long: bool = False) -> None:
        """Renew it where it is time to; sooner where nothing may move for long."""
        share = _NEARLY_NEW if for_long else _USED
        if self._renewed.elapsed_s > share * self._lease_s:
            self._renew()
            self._renewed = Stopwatch()


class _Moving:
    """A draft; as bytes reach it the lease is kept."""

    def __init__(self, draft: Draft, lease: _Lease) -> None:
        self._draft = draft
        self._lease = lease

    def write(self, data: bytes, /) -> None:
        self._lease.keep()
        self._draft.write(data)


@contextmanager
def _opened(
    target: Target, export: Export, headings: Sequence[str], members: list[Member]
) -> Iterator[Writer]:
    """The file itself, or a ZIP of numbered files, which are then `members`."""
    if export.split_records is None:
        with export.format.open(target, headings) as writer:
            yield writer
        return
    with open_numbered(
        target, headings, export.format, export.split_records
    ) as numbered:
        yield numbered
    members += numbered.members
