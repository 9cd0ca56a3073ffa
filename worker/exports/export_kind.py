"""Exports as a kind of job: what quotes and the spine ask of them."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

from sqlalchemy import Connection

from storage.jobs.chunks import TakenChunk
from storage.jobs.jobs import Finishing
from storage.quotes.quotes import Request
from worker.exports import file_sealer, templates
from worker.exports.export_delivery import ExportDelivery
from worker.exports.export_options import export_of
from worker.exports.file_layout import Layout
from worker.exports.record_filters import RecordFilters
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import DeliveryError, bad
from worker.jobs.delivery import JobDeps, RetryChanges, SealedFile
from worker.quotes.priced_records import PricedRecords
from worker.quotes.readers.record_columns import Records


class ExportKind:
    """Jobs that end in a file."""

    leaves_file = True

    def resolved(self, deps: Deps, request: Request) -> Request:
        """A request with what its template says; a file can look like that."""
        resolved = templates.applied(deps, request)
        export_of(resolved.export)
        return resolved

    def quote_check(self, deps: Deps, request: Request) -> "ExportQuoteCheck":
        """Who says which records the file does without, and if it can be."""
        return ExportQuoteCheck(deps, request)

    def check_submission(self, connection: Connection, request: Request) -> None:
        """An export goes nowhere that could be gone."""

    def retried(self, deps: Deps, request: Request, changes: RetryChanges) -> Request:
        """A request whose file looks otherwise; the same records are in it.

        Raises `BadInput`: a file has columns, and no mapping.
        """
        if changes.mapping is not None:
            raise bad("push", "an export has no mapping")
        if changes.export is None:
            return request
        return templates.relaid(deps, request, changes.export)

    def delivery(
        self, deps: JobDeps, chunk: TakenChunk, records: PricedRecords
    ) -> ExportDelivery:
        """The delivery of a chunk into parts of the file."""
        del records
        return ExportDelivery(deps, chunk)

    def rest_of(self, deps: JobDeps, chunk: TakenChunk, error: DeliveryError) -> None:
        """Nothing: there is no other side that could keep an export waiting."""

    def seal(
        self, deps: JobDeps, job: Finishing, renew: Callable[[], None]
    ) -> SealedFile:
        """The file, put together from its parts."""
        return file_sealer.seal(deps, job, renew)

    def forget(self, connection: Connection, job_id: str) -> None:
        """Parts are kept for a while; see `worker.retention`."""


class ExportQuoteCheck:
    """The check of one export, while its records are read and once they are."""

    def __init__(self, deps: Deps, request: Request) -> None:
        self._filters = RecordFilters(deps.database, request.license_id, request.export)
        self._export = export_of(request.export)
        self._retrieve = request.retrieve

    def look_at(self, batch: Records) -> None:
        """Every record can be a row; values are looked at as they are written."""

    def left_out(self, batch: Records) -> AbstractSet[int]:
        """The numbers of the records that the file does without."""
        return self._filters.left_out(batch)

    def end(self, columns: Sequence[str]) -> None:
        """Raise `BadInput` where no file can have these columns."""
        Layout(self._export, columns, self._retrieve).check()
