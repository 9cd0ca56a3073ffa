"""Dry runs: what a push would do, found out by reads alone, before anything is paid.

Nobody is looked up, so what would be found is not known here: a record that differs in
nothing else from what was sent before counts as unchanged.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from pricing.findings import FoundColumns
from storage.crm_changes import Change, Forecast
from storage.errors import Superseded
from storage.jobs import outbox
from storage.licenses.idempotency_keys import Once
from storage.pushes import dry_runs
from storage.pushes.dry_runs import DryRun, Item
from storage.quotes import quotes
from storage.quotes.quotes import StoredQuote
from storage.state_machine import DryRunState
from worker.connections import connection_opener, connections
from worker.connections.connection_opener import ConnectionOpener
from worker.connections.connectors.connector import Connector, Field, Kind, Rejected
from worker.connections.connectors.errors import ConnectorError, Throttled, Unavailable
from worker.infrastructure import ids
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused, bad
from worker.infrastructure.task_results import Done, TaskResult
from worker.pushes import crm_matches
from worker.pushes.field_values import Ready, Values
from worker.pushes.mapping_checks import refusal_of
from worker.pushes.push_delivery import ready_values
from worker.pushes.push_options import Push, push_of
from worker.pushes.record_plan import AMBIGUOUS, Left, Plan, Step, step_of
from worker.pushes.sent_parts import digest_of
from worker.quotes import erased_persons, quote_maker
from worker.quotes.kept_records import Kept
from worker.quotes.priced_records import PricedRecords, read_all
from worker.quotes.quoted_kind import QuoteDeps
from worker.quotes.readers.reader import Reading

log = logging.getLogger(__name__)

_ATTEMPTS_MAX = 10
"""Then a CRM that does not answer ends the dry run."""

_Ends = Mapping[str, Plan]

_FORECASTS = {
    Change.CREATED: Forecast.CREATE,
    Change.UPDATED: Forecast.UPDATE,
    Change.UNCHANGED: Forecast.UNCHANGED,
}


def create(
    deps: QuoteDeps,
    request: quotes.Request,
    reading: Reading | Kept,
    once: Once | None = None,
) -> str:
    """Queue a dry run of what a quote asks for; its id. Raises what a quote raises."""
    if request.kind != "push":
        raise bad("kind", "only a push has a dry run")
    dry_run_id = ids.new_id("dryrun")
    stored = quote_maker.quote(deps, request, reading)
    with deps.database.transaction() as connection:
        dry_runs.create(connection, dry_run_id, request.license_id, stored.id)
        if once is not None:
            once(connection, dry_run_id)
    return dry_run_id


def get(deps: Deps, dry_run_id: str) -> DryRun:
    """A dry run. Raises `Refused` where there is none."""
    with deps.database.transaction() as connection:
        found = dry_runs.get(connection, dry_run_id)
    if found is None:
        raise Refused(Code.NOT_FOUND, f"there is no dry run {dry_run_id}")
    return found


def run(crms: ConnectionOpener, deps: Deps, entry: outbox.Taken) -> TaskResult:
    """Run the dry run that an entry names, from its first record.

    A CRM that does not answer is asked again later; what only a person can put right
    ends the dry run as failed, and says so.
    """
    with deps.database.transaction() as connection:
        dry_runs.start(connection, entry.key)
        found = dry_runs.get(connection, entry.key)
        stored = quotes.get(connection, found.quote_id) if found else None
    code = detail = None
    try:
        if stored is None or stored.input.name is None:
            code, detail = "not_found", "the records have been removed"
        else:
            _DryRunner(crms, deps, entry, stored).run()
    except ConnectorError as error:
        waits = isinstance(error, Throttled | Unavailable)
        if waits and entry.attempt < _ATTEMPTS_MAX:
            raise
        code, detail = connections.code_of(error), str(error)
    state = DryRunState.FAILED if code else DryRunState.SUCCEEDED
    with deps.database.transaction() as connection:
        if not outbox.done(connection, entry):
            raise Superseded(f"{entry.key} is somebody else's")
        dry_runs.end(connection, entry.key, state, code=code, detail=detail)
    return Done()


class _DryRunner:
    """One run of a dry run."""

    def __init__(
        self,
        crms: ConnectionOpener,
        deps: Deps,
        entry: outbox.Taken,
        stored: StoredQuote,
    ) -> None:
        self._deps = deps
        self._entry = entry
        self._stored = stored
        request = stored.request
        self._push: Push = push_of(request.push or {})
        with deps.database.transaction() as connection:
            there = connection_opener.found(
                connection, self._push.connection_id, request.license_id
            )
        self._connector: Connector = crms.open(
            there, partial(_renew, deps, entry)
        ).connector
        self._values = Values(
            self._push,
            self._connector.defaults,
            stored.input.columns,
            request.retrieve,
        )
        self._batch_records = connection_opener.batch_records(
            there, self._connector, deps.settings, stored.quote.records
        )
        self._fields: dict[Kind, Mapping[str, Field] | None] = {}

    def run(self) -> None:
        ready_values(self._connector, self._values, self._push.owner)
        self._fields = {kind: self._connector.fields(kind) for kind in Kind}
        for batch in self._batches():
            items = self._items(batch)
            with self._deps.database.transaction() as connection:
                dry_runs.add(connection, self._entry.key, items)

    def _batches(self) -> Iterator[PricedRecords]:
        name = self._stored.input.name or ""
        for records in read_all(self._deps.artifacts, name):
            for start in range(0, len(records), self._batch_records):
                batch = records.part(start, start + self._batch_records)
                license_id = self._stored.request.license_id
                erased = erased_persons.blocked(self._deps, license_id, batch)
                asked = zip(batch.claims, batch.person_ids, strict=True)
                yield batch.at(
                    [
                        place
                        for place, (claims, person_id) in enumerate(asked)
                        if batch.patterns[claims] and person_id not in erased
                    ]
                )

    def _items(self, batch: PricedRecords) -> list[Item]:
        nothing = FoundColumns.nothing(len(batch))
        companies = self._ends(Kind.COMPANY, self._values.companies(batch))
        persons = self._ends(Kind.PERSON, self._values.persons(batch, nothing))
        return [
            _item(
                number, person_id, companies[company_id], persons.get(person_id or "")
            )
            for number, company_id, person_id in zip(
                batch.numbers, batch.company_ids, batch.person_ids, strict=True
            )
        ]

    def _ends(self, kind: Kind, given: Sequence[Ready]) -> _Ends:
        """What would become of each, as the push itself would plan it."""
        ready = {one.wanted.id: one for one in given}
        if not ready:
            return {}
        database, connection_id = self._deps.database, self._push.connection_id
        known = crm_matches.known_of(database, connection_id, kind, ready)
        matches = crm_matches.matches_of(
            database,
            connection_id,
            kind,
            list(ready.values()),
            known=known,
            find=self._connector.find,
        )
        ends: dict[str, Plan] = {}
        for our_id, one in ready.items():
            entry = known.get(our_id)
            if entry is not None and entry.input_digest in one.older_inputs:
                entry = entry._replace(digest=digest_of(one.input_parts))
            step = step_of(
                one,
                known=entry,
                intent=None,
                match=matches.get(our_id),
                push=self._push,
                of_input=True,
            )
            ends[our_id] = refusal_of(step, self._fields[kind]) or step
        return ends


def _item(
    record: int,
    person_id: str | None,
    company: Plan,
    person: Plan | None,
) -> Item:
    for end in (person, company):
        if isinstance(end, Left):
            return Item(record, person_id, Forecast.EXCLUDE, end.code, end.message)
    for end in (company, person):
        if isinstance(end, Rejected):
            unclear = end.code == AMBIGUOUS
            forecast = Forecast.AMBIGUOUS if unclear else Forecast.REFUSED
            return Item(record, person_id, forecast, end.code, end.message)
    steps = [end for end in (person, company) if isinstance(end, Step)]
    change = steps[0].change
    if change is Change.UNCHANGED and steps[-1].change is not Change.UNCHANGED:
        change = Change.UPDATED
    return Item(record, person_id, _FORECASTS[change])


def _renew(deps: Deps, entry: outbox.Taken) -> None:
    with deps.database.transaction() as connection:
        if not outbox.renew(connection, entry, lease_s=deps.settings.lease_s):
            raise Superseded(f"{entry.key} is somebody else's")
