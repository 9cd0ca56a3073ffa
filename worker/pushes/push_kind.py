"""Pushes as a kind of job: what quotes and the spine ask of them."""

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Connection

from storage.jobs.chunks import TakenChunk
from storage.jobs.jobs import Finishing
from storage.pushes import in_doubt as kept_doubts
from storage.pushes import intents
from storage.quotes.quotes import Request
from worker.connections.connection_opener import ConnectionOpener
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import DeliveryError, bad
from worker.jobs.delivery import JobDeps, Rest, RetryChanges
from worker.pushes import parked_pushes, quote_checks
from worker.pushes.in_doubt import doubt_of
from worker.pushes.in_doubt_expiry import InDoubtExpiry
from worker.pushes.push_delivery import PushDelivery
from worker.pushes.push_options import push_of
from worker.pushes.quote_checks import PushQuoteCheck
from worker.quotes.priced_records import PricedRecords


class PushKind:
    """Jobs that end in a CRM."""

    leaves_file = False

    def __init__(self, crms: ConnectionOpener) -> None:
        self._crms = crms

    def resolved(self, deps: Deps, request: Request) -> Request:
        """The request as it is, where it names a connection: a push has no template."""
        del deps
        if request.push is None:
            raise bad("push", "is missing: name a connection")
        push_of(request.push)
        return request

    def quote_check(self, deps: Deps, request: Request) -> PushQuoteCheck:
        """Who holds connection, mapping, owner and values against the CRM."""
        push = push_of(request.push or {})
        return quote_checks.quote_check(deps, self._crms, request, push)

    def check_submission(self, connection: Connection, request: Request) -> None:
        """Raise `Refused` where the connection is not there any more."""
        quote_checks.connected(connection, request, push_of(request.push or {}))

    def retried(self, deps: Deps, request: Request, changes: RetryChanges) -> Request:
        """A request with another mapping in the place of the one that it had.

        Raises `BadInput`: a push leaves no file.
        """
        del deps
        if changes.export is not None:
            raise bad("export", "a push leaves no file")
        if changes.mapping is None:
            return request
        push = (request.push or {}) | {"mapping": dict(changes.mapping)}
        return replace(request, push=push)

    def delivery(
        self, deps: JobDeps, chunk: TakenChunk, records: PricedRecords
    ) -> PushDelivery | InDoubtExpiry | None:
        """The delivery of a chunk to its CRM.

        Of a job that is cancelled only what is in doubt is delivered: where that was in
        the other half of a chunk that was split, nothing is begun.
        """
        doubt = doubt_of(deps, chunk, records)
        if chunk.is_ending and doubt is None:
            with deps.database.transaction() as connection:
                kept_doubts.take_back(connection, chunk)
            return None
        if chunk.is_to_conclude and doubt is not None:
            return InDoubtExpiry(deps, chunk, doubt)
        return PushDelivery(deps, self._crms, chunk, doubt)

    def rest_of(
        self, deps: JobDeps, chunk: TakenChunk, error: DeliveryError
    ) -> Rest | None:
        """Why a push rests, or None where it is tried again like anything else."""
        return parked_pushes.rest_of(deps, self._crms, chunk, error)

    def seal(self, deps: JobDeps, job: Finishing, renew: Callable[[], None]) -> None:
        """Nothing: a push leaves no file."""

    def forget(self, connection: Connection, job_id: str) -> None:
        """Let go of intents of which nobody could find out any more."""
        intents.forget_job(connection, job_id)
