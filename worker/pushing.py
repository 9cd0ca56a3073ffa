"""A batch of a push: companies first, then their persons, then links and tags.

No transaction is open while the CRM is asked. What is about to be sent is kept as
intents before it is; the checkpoint settles what came of it and forgets them, in one
transaction. A batch that does not come that far is run again, by the same keys.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Event
from typing import TypeVar

from storage import chunks, connections, id_map, intents
from storage.chunks import Batch, TakenChunk
from storage.connections import ConnectionState
from storage.id_map import Key
from storage.intents import Intent
from worker import batches, crms, ending, looking
from worker.ahead import Ahead
from worker.clock import Stopwatch, wait
from worker.connectors import (
    Connector,
    Kind,
    Match,
    Result,
    Row,
    Wanted,
)
from worker.connectors.errors import Misconfigured, Unavailable
from worker.doings import Doings, rounds
from worker.fates import backoff_s
from worker.mapping import misfits
from worker.planning import Left, Plan, Step, step_of
from worker.pushes import Overwrite, push_of
from worker.values import Ready, Values
from worker.wiring import Deps

log = logging.getLogger(__name__)

_TRIES = 3
_BACKOFF_S = 0.25
_BACKOFF_MAX_S = 2.0

_T = TypeVar("_T")


class Pushing:
    """Delivers the batches of one run of a chunk to a CRM.

    Its methods raise a `ConnectorError` where the CRM does not play along, and
    `Superseded` where the chunk is somebody else's by now.
    """

    def __init__(self, deps: Deps, chunk: TakenChunk) -> None:
        assert chunk.push is not None  # noqa: S101 - the caller has looked
        self._deps = deps
        self._chunk = chunk
        self._push = push_of(chunk.push)
        self._beaten = Stopwatch()
        with deps.database.transaction() as connection:
            there = crms.found(connection, self._push.connection_id, chunk.license_id)
        self._was_active = there.state is ConnectionState.ACTIVE
        self._opened = deps.crms.open(there, self._beat, _run_of(chunk))
        self._connector = self._opened.connector
        self._values = Values(
            self._push, self._connector.defaults, chunk.columns, chunk.retrieve
        )
        self._is_prepared = False
        self._first_is_in_doubt = chunk.doubted_at is not None
        self.batch_records = crms.batch_records(
            there, self._connector, deps.settings, chunk.job_records
        )

    def deliver(self, ahead: Ahead, start: int, lines: Sequence[bytes]) -> Batch:
        """What became of the records of these lines."""
        with self._opened.asking():
            return self._deliver(ahead, start, lines)

    def _deliver(self, ahead: Ahead, start: int, lines: Sequence[bytes]) -> Batch:
        self._prepare()
        contents = batches.read(self._deps, self._chunk, ahead, lines)
        left_out = ending.excluded(self._chunk, contents)
        in_doubt = self._first_is_in_doubt
        doings = Doings(again=in_doubt, in_doubt=in_doubt)
        self._first_is_in_doubt = False
        pushed = [one for one in contents.records if one.record.number not in left_out]
        self._push_all(
            doings,
            [self._values.company(priced.record) for priced in pushed],
            [
                self._values.person(priced.record, contents.finding(priced))
                for priced in pushed
                if priced.record.person_id is not None
            ],
            {p.record.company_id for p in pushed if p.record.person_id is None},
        )
        self._tag(doings)
        outcomes, claims = ending.of(contents, left_out, doings.done, doings.persons)
        return Batch(
            start=start,
            outcomes=tuple(outcomes),
            claims=tuple(claims),
            part=None,
            pushed=doings.pushed(self._push.connection_id),
        )

    def _prepare(self) -> None:
        """Once a run: whatever must be there before anything is sent."""
        if self._is_prepared:
            return
        self._patiently(self._connector.prepare)
        self._patiently(
            lambda: ready_values(self._connector, self._values, self._push.owner)
        )
        self._is_prepared = True
        if not self._was_active:
            with self._deps.database.transaction() as connection:
                connections.works(connection, self._push.connection_id)

    def _push_all(
        self,
        doings: Doings,
        companies: Sequence[Ready],
        persons: Sequence[Ready],
        alone: set[str],
    ) -> None:
        """Companies, then their persons; `alone` are those that a record is of alone.

        All are looked at first: of a company nothing is sent for the sake of a person
        who is to be left alone.
        """
        first, *others = rounds(persons) or [[]]
        there = self._plan(doings, Kind.COMPANY, companies)
        plan = self._plan(doings, Kind.PERSON, first)
        needed = alone | {
            one.company_id
            for one in persons
            if not isinstance(doings.decided(one, plan[one.wanted.id]), Left)
        }
        wanted = [one for one in companies if one.wanted.id in needed]
        self._send(doings, Kind.COMPANY, wanted, there)
        for some in (first, *others):
            if some is not first:
                plan = self._plan(doings, Kind.PERSON, some)
            self._push_persons(doings, some, plan)

    def _push_persons(
        self, doings: Doings, persons: Sequence[Ready], plan: Mapping[str, Plan]
    ) -> None:
        """Persons of whom nobody is there twice."""
        decided = {
            one.wanted.id: doings.decided(one, plan[one.wanted.id]) for one in persons
        }
        due = [one for one in persons if doings.is_due(one, decided[one.wanted.id])]
        self._send(doings, Kind.PERSON, due, decided)
        self._link(doings, due)

    def _send(
        self,
        doings: Doings,
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
        results = self._write(doings, kind, ready, plans) if plans else {}
        for our_id, step in steps.items():
            ended = ending.ended(step, results.get(our_id), again=doings.again)
            doings.note(kind, ready[our_id], ended)

    def _plan(
        self, doings: Doings, kind: Kind, given: Sequence[Ready]
    ) -> dict[str, Plan]:
        """What is to be done about each, by our ids."""
        ready = {one.wanted.id: one for one in given}
        if not ready:
            return {}
        connection_id = self._push.connection_id
        with self._deps.database.transaction() as connection:
            known = id_map.of(connection, connection_id, kind, ready)
            intended = intents.of(connection, self._chunk.job_id, kind, ready)
        doings.recall(kind, intended)
        # A person who was about to be sent may have opted out since.
        again = doings.intended if kind is Kind.PERSON else set()
        open_ = [
            one
            for our_id, one in ready.items()
            if our_id not in intended or Key(kind, our_id) in again
        ]
        matches = looking.matches_of(
            self._deps.database,
            connection_id,
            kind,
            open_,
            known=known,
            find=self._find,
        )
        return {
            our_id: step_of(
                one,
                known=known.get(our_id),
                intent=intended.get(our_id),
                match=matches.get(our_id),
                push=self._push,
            )
            for our_id, one in ready.items()
        }

    def _find(self, kind: Kind, wanted: Sequence[Wanted]) -> Mapping[str, Match]:
        return self._patiently(lambda: self._connector.find(kind, wanted))

    def _write(
        self,
        doings: Doings,
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
        with self._deps.database.transaction() as connection:
            doings.sent_at = chunks.doubt(
                connection, self._chunk, about, lease_s=self._deps.settings.lease_s
            )
        rows = [
            Row(
                id=our_id,
                fields=step.fields,
                their_id=step.their_id,
                company_their_id=doings.company_of(ready[our_id]),
                keeps_company=self._push.overwrite is Overwrite.IF_EMPTY,
            )
            for our_id, step in plans.items()
        ]

        def retried() -> None:
            doings.again = True

        return self._patiently(lambda: self._connector.write(kind, rows), retried)

    def _link(self, doings: Doings, persons: Sequence[Ready]) -> None:
        links = list(doings.links(persons))
        if not links:
            return
        refused = self._patiently(lambda: self._connector.link(links))
        for one in persons:
            if one.wanted.id in refused:
                doings.unlinked(one, refused[one.wanted.id])

    def _tag(self, doings: Doings) -> None:
        tags = self._push.tags
        for kind in Kind:
            theirs = doings.changed(kind)
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


def _run_of(chunk: TakenChunk) -> str:
    """What a chunk's batches belong to; a chunk that is split is none of two."""
    return f"{chunk.job_id}/{chunk.first_line}"


def ready_values(connector: Connector, values: Values, owner: str | None) -> None:
    """Find the owner, and check that the CRM has the fields that are filled.

    Raises `Misconfigured`: no record could be written by such a mapping.
    """
    for kind in Kind:
        for misfit in misfits(kind, values.targets[kind], connector.fields(kind)):
            raise Misconfigured("unknown_field", f"{kind}: {misfit.message}")
    if owner is not None:
        values.own(connector.owner_field, connector.owner(owner))
