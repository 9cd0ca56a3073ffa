"""The end of a batch in doubt of which no CRM will tell any more.

A job that is cancelled asks again, by its keys, what it may have sent. Where the CRM
has not answered for too long, what was intended counts as sent, and so as delivered:
it is flagged, and can be refunded.
"""

from storage.connections.id_map import Key
from storage.jobs.chunks import Batch, TakenChunk
from storage.pushes.pushed_batches import Pushed
from worker.connections import connection_opener, connector_registry
from worker.connections.connectors.connector import Kind, Rejected
from worker.findings.batch_contents import Contents
from worker.infrastructure.dependencies import Deps
from worker.pushes import parked_pushes, record_outcomes
from worker.pushes.batch_progress import BatchProgress
from worker.pushes.field_values import Ready, Values
from worker.pushes.in_doubt import Doubt
from worker.pushes.push_options import push_of
from worker.pushes.record_outcomes import Ended
from worker.quotes import due_claims

IN_DOUBT = "in_doubt"
"""The code of a record that is paid for, though no CRM has said that it is there."""
NOT_SENT = "crm_unavailable"

_FLAGGED = Rejected(
    code=IN_DOUBT,
    message="it was about to be sent, and the CRM has never said what became of it",
)
_COMPANY_FLAGGED = Rejected(
    code=IN_DOUBT,
    message="its company was about to be sent, and the CRM has never said what became "
    "of it; the person was not",
)
_UNSENT = Rejected(code=NOT_SENT, message="nothing of it was sent any more")


class InDoubtExpiry:
    """Settles what one chunk was about to send; no CRM is asked."""

    def __init__(self, deps: Deps, chunk: TakenChunk, doubt: Doubt) -> None:
        assert chunk.push is not None  # noqa: S101 - only pushes are ever in doubt
        self._deps = deps
        self._chunk = chunk
        self._push = push_of(chunk.push)
        with deps.database.transaction() as connection:
            there = connection_opener.found(
                connection, self._push.connection_id, chunk.license_id
            )
        self.receiver = str(there.connector)
        offer = connector_registry.OFFERS[there.connector]
        self._values = Values(self._push, offer.defaults, chunk.columns, chunk.retrieve)
        self._doubt = doubt
        self.batch_records = doubt.records

    def deliver(self, start: int, contents: Contents) -> Batch:
        """What counts as having become of the records of a batch."""
        places = record_outcomes.sent_places(self._chunk, contents)
        progress = self._doubt.begun()
        for ready in self._values.companies(contents.records):
            self._note(progress, ready)
        for ready in self._values.persons(contents.records, contents.found):
            self._note(progress, ready)
        outcomes = record_outcomes.of(
            contents, places, progress.companies, progress.pairs
        )
        due = due_claims.due(contents.records, outcomes.results, contents.found)
        batch = Batch(
            start=start,
            outcomes=outcomes.columns,
            claims=due.claims,
            unchanged=due.unchanged,
        )
        unknown = self._unknown(progress)
        return parked_pushes.with_pushed(self._deps, batch, unknown)

    def _note(self, progress: BatchProgress, ready: Ready) -> None:
        intent = progress.intended.get(Key(ready.kind, ready.wanted.id))
        if intent is None:
            company = Key(Kind.COMPANY, ready.company_id or "")
            is_flagged = company in progress.intended
            why = _COMPANY_FLAGGED if is_flagged else _UNSENT
            progress.note(ready, Ended(rejected=why))
            return
        ended = Ended(
            change=intent.change,
            their_id=intent.their_id,
            fields=frozenset(intent.fields),
            incomplete=_FLAGGED,
        )
        progress.note(ready, ended)

    def _unknown(self, progress: BatchProgress) -> Pushed:
        """Nothing is known of what is there: it is looked for by its key next time."""
        return Pushed(
            connection_id=self._push.connection_id,
            sent_at=self._doubt.since,
            entries=(),
            resolved=tuple(progress.intended),
            unknown=tuple(progress.intended),
        )
