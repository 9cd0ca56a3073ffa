"""The protocol of a delivery, all that is known here of exports and pushes.

The code of a third kind of job is one new folder with a `JobKind` of its own, and one
line in the wiring; the database and the API list the kinds by name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection

from storage.files.artifacts import Written
from storage.jobs.chunks import Batch, TakenChunk
from storage.jobs.jobs import Finishing
from storage.jobs.outbox import Taken
from storage.quotes.quotes import Request
from worker.findings.batch_contents import Contents
from worker.findings.provider_registry import FindingDeps
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import DeliveryError
from worker.infrastructure.task_results import TaskResult
from worker.quotes.priced_records import PricedRecords
from worker.quotes.quoted_kind import QuoteDeps, QuotedKind


class Delivery(Protocol):
    """Delivers the batches of one run of a chunk.

    Raises a `DeliveryError` where the other side does not play along, and `Superseded`
    where the chunk is somebody else's by now.
    """

    @property
    def receiver(self) -> str:
        """What it delivers to, in a word of few: a file, or a connector's name."""

    @property
    def batch_records(self) -> int:
        """How many records the next batch has."""

    def deliver(self, start: int, contents: Contents) -> Batch:
        """What became of the records of a batch, which begins at `start`."""


class Rest(NamedTuple):
    """Why a chunk rests, and for how many seconds at least."""

    reason: str
    left_s: float


class SealedFile(NamedTuple):
    """The file that a job leaves, and the name that it carries."""

    file_name: str
    written: Written


class RetryChanges(NamedTuple):
    """What a retry does otherwise: a push's mapping, or how an export looks."""

    mapping: Mapping[str, Any] | None = None
    export: Mapping[str, Any] | None = None


class JobKind(QuotedKind, Protocol):
    """One kind of job: how it is quoted, submitted, delivered and ended.

    Of one that `leaves_file` nothing has reached anybody without it.
    """

    @property
    def leaves_file(self) -> bool:
        """Whether what is delivered lies in a file."""

    def check_submission(self, connection: Connection, request: Request) -> None:
        """Raise `Refused` where what a quote goes to is not there any more."""

    def retried(self, deps: Deps, request: Request, changes: RetryChanges) -> Request:
        """A job's request with what its retry does otherwise.

        Raises `BadInput` where this kind has no such thing, and `Refused`.
        """

    def delivery(
        self, deps: "JobDeps", chunk: TakenChunk, records: PricedRecords
    ) -> Delivery | None:
        """The delivery of a chunk, whose slice holds `records`; None: begin nothing."""

    def rest_of(
        self, deps: "JobDeps", chunk: TakenChunk, error: DeliveryError
    ) -> Rest | None:
        """What follows of an error; None where it is a failure like any other."""

    def seal(
        self, deps: "JobDeps", job: Finishing, renew: Callable[[], None]
    ) -> SealedFile | None:
        """The file of a job, if it leaves one; `renew` holds on to its completion."""

    def forget(self, connection: Connection, job_id: str) -> None:
        """Let go of what was kept of a job that ends now."""


@dataclass(frozen=True, kw_only=True)
class JobDeps(QuoteDeps, FindingDeps):
    """What use cases around jobs are given, besides what quotes and findings need.

    `handlers` do what the entries of the outbox ask for, by their topics.
    """

    kinds: Mapping[str, JobKind]
    handlers: Mapping[str, "Handler"]


Handler = Callable[[JobDeps, Taken], TaskResult]
"""Does what an entry asks for and marks it as done, in the same transaction."""
