"""A batch of a push: companies first, then their persons, then links and tags.

No transaction is open while the CRM is asked. What is about to be sent is kept as
intents before it is; the checkpoint settles what came of it and forgets them, in one
transaction. A batch that does not come that far is run again, by the same keys.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from threading import Event
from typing import TypeVar

from storage.connections import connections
from storage.connections.connections import ConnectionState
from storage.connections.id_map import Key
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
from worker.pushes.batch_progress import BatchProgress, Look, rounds
from worker.pushes.field_values import Ready, Values
from worker.pushes.in_doubt import Doubt
from worker.pushes.mapping_checks import misfits
from worker.pushes.push_options import Overwrite, push_of
from worker.pushes.record_plan import Left, Plan, Step, step_of

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
        left_out = record_outcomes.excluded(self._chunk, contents)
        doubt, self._doubt = self._doubt, None
        progress = doubt.begun() if doubt else BatchProgress()
        progress.stop = start + len(contents.records)
        pushed = [one for one in contents.records if one.record.number not in left_out]
        self._push_all(
            progress,
            [self._values.company(priced.record) for priced in pushed],
            [
                self._values.person(priced.record, contents.finding(priced))
                for priced in pushed
                if priced.record.person_id is not None
            ],
            {p.record.company_id for p in pushed if p.record.person_id is None},
        )
        self._tag(progress)
        self._note_that_it_works()
        outcomes, claims = record_outcomes.of(
            contents, left_out, progress.done, progress.persons
        )
        batch = Batch(start=start, outcomes=tuple(outcomes), claims=tuple(claims))
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
        needed = alone | {
            one.company_id
            for one in persons
            if not isinstance(self._step(progress, one, looks), Left)
        }
        wanted = [one for one in companies if one.wanted.id in needed]
        plan = {
            one.wanted.id: step_of(one, *there[one.wanted.id], push=self._push)
            for one in wanted
        }
        self._send(progress, Kind.COMPANY, wanted, plan)
        for some in rounds(persons):
            self._push_persons(progress, some, looks)

    def _step(
        self, progress: BatchProgress, person: Ready, looks: Mapping[str, Look]
    ) -> Plan:
        return progress.step_of(person, looks[person.wanted.id], self._push)

    def _push_persons(
        self,
        progress: BatchProgress,
        persons: Sequence[Ready],
        looks: Mapping[str, Look],
    ) -> None:
        """Persons of whom nobody is there twice."""
        plan = {one.wanted.id: self._step(progress, one, looks) for one in persons}
        due = [one for one in persons if progress.is_due(one, plan[one.wanted.id])]
        self._send(progress, Kind.PERSON, due, plan)
        self._link(progress, due)

    def _send(
        self,
        progress: BatchProgress,
        kind: Kind,
        given: Iterable[Ready],
        plan: Mapping[str, Plan],
    ) -> None:
        """Create and update what has to be; what has not changed is not sent."""
        ready = {one.wanted.id: one for one in given}
        steps = {our_id: plan[our_id] for our_id in ready}
        plans = {
            our_id: step
            for our_id, step in steps.items()
            if isinstance(step, Step) and step.is_to_send
        }
        results = self._write(progress, kind, ready, plans) if plans else {}
        for our_id, step in steps.items():
            ended = record_outcomes.ended(
                step, results.get(our_id), again=progress.again
            )
            progress.note(kind, ready[our_id], ended)

    def _look(
        self, progress: BatchProgress, kind: Kind, given: Sequence[Ready]
    ) -> dict[str, Look]:
        """What is known of each before anything is sent, by our ids."""
        ready = _asked_about(given)
        if not ready:
            return {}
        connection_id = self._push.connection_id
        known = crm_matches.known_of(self._deps.database, connection_id, kind, ready)
        # A person who was about to be sent may have opted out since.
        certain = progress.intended if kind is Kind.COMPANY else ()
        matches = crm_matches.matches_of(
            self._deps.database,
            connection_id,
            kind,
            [one for our_id, one in ready.items() if Key(kind, our_id) not in certain],
            known=known,
            find=self._find,
        )
        return {
            our_id: Look(
                known.get(our_id),
                progress.intended.get(Key(kind, our_id)),
                matches.get(our_id),
            )
            for our_id in ready
        }

    def _find(self, kind: Kind, wanted: Sequence[Wanted]) -> Mapping[str, Match]:
        return self._patiently(lambda: self._connector.find(kind, wanted))

    def _write(
        self,
        progress: BatchProgress,
        kind: Kind,
        ready: Mapping[str, Ready],
        plans: Mapping[str, Step],
    ) -> Mapping[str, Result]:
        about = [
            Intent(
                kind=kind,
                our_id=our_id,
                change=step.change,
                their_id=step.their_id,
                fields=tuple(step.fields),
            )
            for our_id, step in plans.items()
        ]
        is_first = progress.sent_at is None
        with self._deps.database.transaction() as connection:
            progress.sent_at = in_doubt.keep(
                connection,
                self._chunk,
                about,
                stop=progress.stop,
                connection_id=self._push.connection_id,
                lease_s=self._deps.settings.lease_s,
            )
        if is_first:
            self._opened.http.may_have_written = False
        rows = [
            Row(
                id=our_id,
                fields=step.fields,
                their_id=step.their_id,
                company_their_id=progress.company_of(ready[our_id]),
                keeps_company=self._push.overwrite is Overwrite.IF_EMPTY,
            )
            for our_id, step in plans.items()
        ]

        def retried() -> None:
            progress.again = True

        try:
            return self._patiently(lambda: self._connector.write(kind, rows), retried)
        except ConnectorError:
            if is_first and not self._opened.http.may_have_written:
                self._take_back(about)
            raise

    def _take_back(self, about: Sequence[Intent]) -> None:
        """Leave nothing in doubt: nothing of it was sent, or all of it refused."""
        keys = [Key(one.kind, one.our_id) for one in about]
        with self._deps.database.transaction() as connection:
            in_doubt.take_back(connection, self._chunk, keys)

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
        for kind in Kind:
            theirs = progress.changed(kind)
            if tags and theirs:
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


def _asked_about(given: Sequence[Ready]) -> dict[str, Ready]:
    """Each once, with all that any record has of it, to be looked for."""
    found: dict[str, Ready] = {}
    for one in given:
        before = found.get(one.wanted.id, one).wanted
        wanted = replace(
            one.wanted,
            fields={**before.fields, **one.wanted.fields},
            match=before.match or one.wanted.match,
        )
        found[one.wanted.id] = replace(one, wanted=wanted)
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
