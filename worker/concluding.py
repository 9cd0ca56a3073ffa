"""The end of a batch in doubt of which no CRM will tell any more.

A job that is cancelled asks again, by its keys, what it may have sent. Where the CRM
has not answered for too long, or the reservation's deadline has passed, what was
intended counts as sent, and so as delivered: it is flagged, and can be refunded.
"""

from collections.abc import Iterator, Sequence

from storage import intents
from storage.chunks import Batch, Pushed, TakenChunk
from storage.intents import Intent
from worker import batches, crms, ending
from worker.ahead import Ahead
from worker.connectors import Kind, Rejected
from worker.doings import Doings
from worker.ending import Ended
from worker.inputs import PricedRecord, parse
from worker.pushes import push_of
from worker.values import Ready, Values
from worker.wiring import Deps

IN_DOUBT = "in_doubt"
"""The code of a record that counts as delivered, though no CRM has said so."""
NOT_SENT = "crm_unavailable"

_FLAGGED = Rejected(
    code=IN_DOUBT,
    message="it was about to be sent, and the CRM has never said what became of it",
)
_UNSENT = Rejected(code=NOT_SENT, message="nothing of it was sent any more")


class Concluding:
    """Settles what one chunk was about to send; no CRM is asked."""

    def __init__(self, deps: Deps, chunk: TakenChunk, lines: Sequence[bytes]) -> None:
        assert chunk.push is not None  # noqa: S101 - only pushes are ever in doubt
        self._deps = deps
        self._chunk = chunk
        self._push = push_of(chunk.push)
        with deps.database.transaction() as connection:
            there = crms.found(connection, self._push.connection_id, chunk.license_id)
        offer = crms.OFFERS[there.connector]
        self._values = Values(self._push, offer.defaults, chunk.columns, chunk.retrieve)
        left = list(parse(list(lines[chunk.cursor - chunk.first_line :])))
        self._intended = self._intents_of(left)
        self.batch_records = max(self._numbers(left), default=1)

    def _intents_of(
        self, records: Sequence[PricedRecord]
    ) -> dict[Kind, dict[str, Intent]]:
        ours = {
            Kind.COMPANY: {one.record.company_id for one in records},
            Kind.PERSON: {
                one.record.person_id for one in records if one.record.person_id
            },
        }
        job_id = self._chunk.job_id
        with self._deps.database.transaction() as connection:
            return {k: intents.of(connection, job_id, k, ours[k]) for k in Kind}

    def _numbers(self, records: Sequence[PricedRecord]) -> Iterator[int]:
        """Up to which of the records something was intended, counted from 1."""
        for number, one in enumerate(records, start=1):
            person_id, company_id = one.record.person_id, one.record.company_id
            if (
                person_id in self._intended[Kind.PERSON]
                or company_id in self._intended[Kind.COMPANY]
            ):
                yield number

    def deliver(self, ahead: Ahead, start: int, lines: Sequence[bytes]) -> Batch:
        """What counts as having become of the records of these lines."""
        contents = batches.read(self._deps, self._chunk, ahead, lines)
        left_out = ending.excluded(self._chunk, contents)
        doings = Doings()
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
            part=None,
            pushed=self._forgotten(doings),
        )

    def _note(self, doings: Doings, kind: Kind, ready: Ready) -> None:
        intent = self._intended[kind].get(ready.wanted.id)
        if intent is None:
            doings.note(kind, ready, Ended(rejected=_UNSENT))
            return
        ended = Ended(
            change=intent.change,
            their_id=intent.their_id,
            fields=frozenset(intent.fields),
            incomplete=_FLAGGED,
        )
        doings.note(kind, ready, ended)

    def _forgotten(self, doings: Doings) -> Pushed | None:
        """Nothing is known of what is there: it is looked for by its key next time."""
        if self._chunk.doubted_at is None:
            return None
        return Pushed(
            connection_id=self._push.connection_id,
            sent_at=self._chunk.doubted_at,
            entries=(),
            touched=tuple(doings.done),
        )
