"""A batch of a push: companies first, then their persons, then links and tags.

No transaction is open while the CRM is asked. What is about to be sent is kept as
intents before it is; the checkpoint settles what came of it and forgets them, in one
transaction. A batch that does not come that far is run again, by the same keys.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from threading import Event
from typing import TypeVar

from storage.connections import connections
from storage.connections.connections import ConnectionState
from storage.jobs import chunks
from storage.jobs.chunks import Batch, TakenChunk
from storage.pushes import in_doubt
from storage.pushes.intents import Intent
from worker.connections import connection_opener
from worker.connections.connection_opener import ConnectionOpener
from worker.connections.connectors.connector import (
    Connector,
    Kind,
    Match,
    Result,
    Row,
    Wanted,
)
from worker.connections.connectors.errors import (
    ConnectorError,
    Misconfigured,
    Unavailable,
)
from worker.findings.batch_contents import Contents
from worker.infrastructure.clock import Stopwatch, wait
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.retry_policy import backoff_s
from worker.pushes import crm_matches, parked_pushes, record_outcomes
from worker.pushes.batch_progress import NEW, BatchProgress, Look, Planned, rounds
from worker.pushes.field_values import Ready, Values
from worker.pushes.in_doubt import Doubt
from worker.pushes.mapping_checks import misfits
from worker.pushes.push_options import Overwrite, push_of
from worker.pushes.record_plan import Left, Step, step_of
from worker.quotes import due_claims
from worker.quotes.priced_records import PricedRecords

log = logging.getLogger(__name__)

_TRIES = 3
_BACKOFF_S = 0.25
_BACKOFF_MAX_S = 2.0

_T = TypeVar("_T")


class PushDelivery:
    """Delivers the batches of one run of a chunk to a CRM.

    Its methods raise a `ConnectorError` where the CRM does not play along, and
    `Superseded` where the chunk is somebody else's by now.
    """

    def __init__(
        self,
        deps: Deps,
        crms: ConnectionOpener,
        chunk: TakenChunk,
        doubt: Doubt | None,
    ) -> None:
        assert chunk.push is not None  # noqa: S101 - the caller has looked
        self._deps = deps
        self._chunk = chunk
        self._push = push_of(chunk.push)
        self._beaten = Stopwatch()
        with deps.database.transaction() as connection:
            there = connection_opener.found(
                connection, self._push.connection_id, chunk.license_id
            )
        self.receiver = str(there.connector)
        self._was_active = there.state is ConnectionState.ACTIVE
        self._opened = crms.open(there, self._beat, _run_of(chunk))
        self._connector = self._opened.connector
        self._values = Values(
            self._push, self._connector.defaults, chunk.columns, chunk.retrieve
        )
        self._is_prepared = False
        self._usual_records = connection_opener.batch_records(
            there, self._connector, deps.settings, chunk.job_records
        )
        self._doubt = doubt

    @property
    def batch_records(self) -> int:
        """How many records the next batch has; all that is in doubt is in one."""
        return self._doubt.records if self._doubt else self._usual_records

    def deliver(self, start: int, contents: Contents) -> Batch:
        """What became of the records of a batch."""
        with self._opened.asking():
            return self._deliver(start, contents)

    def _deliver(self, start: int, contents: Contents) -> Batch:
        self._prepare()
        doubt, self._doubt = self._doubt, None
        progress = doubt.begun() if doubt else BatchProgress()
        progress.stop = start + len(contents.records)
        places = record_outcomes.sent_places(self._chunk, contents)
        records = contents.records.at(places)
        self._push_all(
            progress,
            self._values.companies(records),
            self._values.persons(records, contents.found.of_places(places)),
            _alone(records),
        )
        self._tag(progress)
        self._note_that_it_works()
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
        sent = progress.pushed(self._push.connection_id)
        return parked_pushes.with_pushed(self._deps, batch, sent)

    def _prepare(self) -> None:
        """Once a run: whatever must be there before anything is sent."""
        if self._is_prepared:
            return
        self._patiently(self._connector.prepare)
        self._patiently(
            lambda: ready_values(self._connector, self._values, self._push.owner)
        )
        self._is_prepared = True

    def _note_that_it_works(self) -> None:
        """Once a batch went through: asking alone does not prove it."""
        if not self._was_active:
            with self._deps.database.transaction() as connection:
                connections.works(connection, self._push.connection_id)
            self._was_active = True

    def _push_all(
        self,
        progress: BatchProgress,
        companies: Sequence[Ready],
        persons: Sequence[Ready],
        alone: set[str],
    ) -> None:
        """Companies, then their persons; `alone` are those that a record is of alone.

        All are looked at first: of a company nothing is sent for the sake of a person
        who is to be left alone.
        """
        there = self._look(progress, Kind.COMPANY, companies)
        looks = self._look(progress, Kind.PERSON, persons)
        planned = [
            Planned(
                one,
                progress.step_of(one, looks.get(one.wanted.id, NEW), self._push),
            )
            for one in persons
        ]
        needed = alone | {
            ready.company_id for ready, plan in planned if not isinstance(plan, Left)
        }
        wanted = {one.wanted.id: one for one in companies if one.wanted.id in needed}
        self._send(
            progress,
            Kind.COMPANY,
            [
                Planned(one, step_of(one, *there.get(our_id, NEW), push=self._push))
                for our_id, one in wanted.items()
            ],
        )
        for some in rounds(planned):
            self._push_persons(progress, some)

    def _push_persons(
        self, progress: BatchProgress, persons: Sequence[Planned]
    ) -> None:
        """Persons of whom nobody is there twice."""
        push = self._push
        due = [
            Planned(ready, progress.continued(ready, plan, push))
            for ready, plan in persons
            if progress.is_due(ready, plan)
        ]
        self._send(progress, Kind.PERSON, due)
        self._link(progress, [ready for ready, _ in due])

    def _send(
        self, progress: BatchProgress, kind: Kind, given: Sequence[Planned]
    ) -> None:
        """Create and update what has to be; what has not changed is not sent."""
        steps = [
            (ready, plan)
            for ready, plan in given
            if isinstance(plan, Step) and plan.is_to_send
        ]
        results = self._write(progress, kind, steps) if steps else {}
        again = progress.again
        for ready, plan in given:
            ended = record_outcomes.ended(
                plan, results.get(ready.wanted.id), again=again
            )
            progress.note(ready, ended)

    def _look(
        self, progress: BatchProgress, kind: Kind, given: Sequence[Ready]
    ) -> dict[str, Look]:
        """What is known of some before anything is sent, by our ids."""
        ready = _asked_about(given)
        if not ready:
            return {}
        connection_id = self._push.connection_id
        known = crm_matches.known_of(self._deps.database, connection_id, kind, ready)
        intended = {
            our_id: intent
            for (of_kind, our_id), intent in progress.intended.items()
            if of_kind == kind and our_id in ready
        }
        # A person who was about to be sent may have opted out since.
        certain = intended if kind is Kind.COMPANY else {}
        matches = crm_matches.matches_of(
            self._deps.database,
            connection_id,
            kind,
            [one for our_id, one in ready.items() if our_id not in certain],
            known=known,
            find=self._find,
        )
        return {
            our_id: Look(known.get(our_id), intended.get(our_id), matches.get(our_id))
            for our_id in {**known, **intended, **matches}
        }

    def _find(self, kind: Kind, wanted: Sequence[Wanted]) -> Mapping[str, Match]:
        return self._patiently(lambda: self._connector.find(kind, wanted))

    def _write(
        self,
        progress: BatchProgress,
        kind: Kind,
        steps: Sequence[tuple[Ready, Step]],
    ) -> Mapping[str, Result]:
        is_first = progress.sent_at is None
        with self._deps.database.transaction() as connection:
            progress.sent_at = in_doubt.keep(
                connection,
                self._chunk,
                [
                    Intent(kind, ready.wanted.id, change, their_id, tuple(fields))
                    for ready, (change, fields, their_id, *_) in steps
                ],
                stop=progress.stop,
                connection_id=self._push.connection_id,
                lease_s=self._deps.settings.lease_s,
            )
        if is_first:
            self._opened.http.may_have_written = False
        keeps_company = self._push.overwrite is Overwrite.IF_EMPTY
        company_of = progress.company_of
        rows = [
            Row(
                ready.wanted.id,
                step.fields,
                step.their_id,
                company_of(ready),
                keeps_company,
            )
            for ready, step in steps
        ]

        def retried() -> None:
            progress.again = True

        try:
            return self._patiently(lambda: self._connector.write(kind, rows), retried)
        except ConnectorError:
            if is_first and not self._opened.http.may_have_written:
                self._take_back()
            raise

    def _take_back(self) -> None:
        """Leave nothing in doubt: nothing of it was sent, or all of it refused."""
        with self._deps.database.transaction() as connection:
            in_doubt.take_back(connection, self._chunk)

    def _link(self, progress: BatchProgress, persons: Sequence[Ready]) -> None:
        links = list(progress.links(persons))
        if not links:
            return
        refused = self._patiently(lambda: self._connector.link(links))
        for one in persons:
            if one.wanted.id in refused:
                progress.unlinked(one, refused[one.wanted.id])

    def _tag(self, progress: BatchProgress) -> None:
        tags = self._push.tags
        for kind in Kind if tags else ():
            theirs = progress.changed(kind)
            if theirs:
                self._patiently(
                    lambda kind=kind, theirs=theirs: self._connector.tag(  # type: ignore[misc]
                        kind, theirs, tags
                    )
                )

    def _patiently(
        self, ask: Callable[[], _T], retried: Callable[[], None] = lambda: None
    ) -> _T:
        """Ask again, by the same keys, what has had no answer."""
        for failures in range(_TRIES - 1):
            try:
                return ask()
            except Unavailable as error:
                if error.until_s is not None:
                    raise
                log.info("%s: %s", self._push.connection_id, error)
                retried()
                delay_s = backoff_s(failures, base_s=_BACKOFF_S, max_s=_BACKOFF_MAX_S)
                wait(Event(), delay_s)
        return ask()

    def _beat(self) -> None:
        """Hold the chunk on while its CRM takes its time. Raises `Superseded`."""
        lease_s = self._deps.settings.lease_s
        if self._beaten.elapsed_s < lease_s / 4:
            return
        with self._deps.database.transaction() as connection:
            chunks.renew(connection, self._chunk, lease_s=lease_s)
        self._beaten = Stopwatch()


def _alone(records: PricedRecords) -> set[str]:
    """The companies that a record is of alone."""
    return {
        company_id
        for company_id, person_id in zip(
            records.company_ids, records.person_ids, strict=True
        )
        if person_id is None
    }


def _asked_about(given: Sequence[Ready]) -> dict[str, Ready]:
    """Each once, with all that any record has of it, to be looked for."""
    found: dict[str, Ready] = {}
    for one in given:
        before = found.setdefault(one.wanted.id, one)
        if before is one:
            continue
        wanted = one.wanted._replace(
            fields={**before.wanted.fields, **one.wanted.fields},
            match=before.wanted.match or one.wanted.match,
        )
        found[one.wanted.id] = one._replace(wanted=wanted)
    return found


def _run_of(chunk: TakenChunk) -> str:
    """What a chunk's batches belong to; a chunk that is split is none of two."""
    return f"{chunk.job_id}/{chunk.first_line}"


def ready_values(connector: Connector, values: Values, owner: str | None) -> None:
    """Find the owner, and fit values to the fields that the CRM has.

    Raises `Misconfigured`: no record could be written by such a mapping.
    """
    for kind in Kind:
        fields = connector.fields(kind)
        for misfit in misfits(kind, values.targets[kind], fields):
            raise Misconfigured("unknown_field", f"{kind}: {misfit.message}")
        values.fit(kind, fields or {})
    if owner is not None:
        values.own(connector.owner_field, connector.owner(owner))
