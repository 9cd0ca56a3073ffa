"""The end of a batch in doubt of which no CRM will tell any more.

A job that is cancelled asks again, by its keys, what it may have sent. Where the CRM
has not answered for too long, what was intended counts as sent, and so as delivered:
it is flagged, and can be refunded.
"""

from collections.abc import Sequence
from functools import partial

from sqlalchemy import Connection

from storage.connections.id_map import Key
from storage.jobs.chunks import Batch, TakenChunk
from storage.pushes import batch_results
from storage.pushes.batch_results import Pushed
from storage.state_machine import JobState
from worker import batches, crms, ending, parking
from worker.ahead import Ahead
from worker.connectors import Kind, Rejected
from worker.doings import Doings
from worker.doubts import Doubt
from worker.ending import Ended
from worker.pushes import push_of
from worker.values import Ready, Values
from worker.wiring import Deps

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


class Concluding:
    """Settles what one chunk was about to send; no CRM is asked."""

    def __init__(self, deps: Deps, chunk: TakenChunk, doubt: Doubt) -> None:
        assert chunk.push is not None  # noqa: S101 - only pushes are ever in doubt
        self._deps = deps
        self._chunk = chunk
        self._push = push_of(chunk.push)
        with deps.database.transaction() as connection:
            there = crms.found(connection, self._push.connection_id, chunk.license_id)
        offer = crms.OFFERS[there.connector]
        self._values = Values(self._push, offer.defaults, chunk.columns, chunk.retrieve)
        self._doubt = doubt
        self.batch_records = doubt.records

    def deliver(self, ahead: Ahead, start: int, lines: Sequence[bytes]) -> Batch:
        """What counts as having become of the records of these lines."""
        contents = batches.read(self._deps, self._chunk, ahead, lines)
        left_out = ending.excluded(self._chunk, contents)
        doings = self._doubt.doings()
        for priced in contents.records:
            record = priced.record
            self._note(doings, Kind.COMPANY, self._values.company(record))
            if record.person_id is not None:
                person = self._values.person(record, contents.finding(priced))
                self._note(doings, Kind.PERSON, person)
        outcomes, claims = ending.of(contents, left_out, doings.done, doings.persons)
        return Batch(
            start=start,
            outcomes=tuple(outcomes),
            claims=tuple(claims),
            keep=partial(batch_results.keep, pushed=self._unknown(doings)),
        )

    def settled(self, connection: Connection, state: JobState) -> JobState:
        """How the job stands, once these count as delivered."""
        job_id = self._chunk.job_id
        return parking.park_where_rejected(self._deps, connection, job_id, state)

    def _note(self, doings: Doings, kind: Kind, ready: Ready) -> None:
        intent = doings.intended.get(Key(kind, ready.wanted.id))
        if intent is None:
            company = Key(Kind.COMPANY, ready.company_id or "")
            is_flagged = company in doings.intended
            why = _COMPANY_FLAGGED if is_flagged else _UNSENT
            doings.note(kind, ready, Ended(rejected=why))
            return
        ended = Ended(
            change=intent.change,
            their_id=intent.their_id,
            fields=frozenset(intent.fields),
            incomplete=_FLAGGED,
        )
        doings.note(kind, ready, ended)

    def _unknown(self, doings: Doings) -> Pushed:
        """Nothing is known of what is there: it is looked for by its key next time."""
        return Pushed(
            connection_id=self._push.connection_id,
            sent_at=self._doubt.since,
            entries=(),
            touched=tuple({*doings.done, *doings.intended}),
            unknown=tuple(doings.intended),
        )
