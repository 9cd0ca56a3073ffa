"""The verifier: makes every seal again from the rows, and says where one differs.

It reads as the sealer does: memory stays small, whatever there is, but for where the
chain of each license stands.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby, islice

from sqlalchemy import Connection

from storage.finance.chain import erasures, runs, sealed_rows, verdicts
from storage.finance.chain.runs import NOTHING, DatabaseRestored, Run
from storage.finance.chain.sealed_rows import SealedRow
from storage.tables.column_types import ERA
from worker.finance.chain import pins
from worker.finance.chain.breaks import (
    Break,
    Chain,
    below_all_runs,
    never_was,
    words_differ,
)
from worker.finance.chain.keys import all_keys
from worker.finance.chain.seals import RowsSeal, erasure_seal
from worker.infrastructure.dependencies import Deps

log = logging.getLogger(__name__)

_RUNS_MAX = 1_000
_HELD_MAX = 100_000
_BREAKS_KEPT = 100
_PINS_AT_ONCE = 1_000
_LOWEST, _HIGHEST = -(1 << 63), (1 << 63) - 1


@dataclass(slots=True, kw_only=True)
class Found:
    """What was looked through, and the first of `total` breaks.

    `pins_lost` were pinned of runs that a restored backup did not have, and that an
    operator has given up by beginning a new era.
    """

    last: Run | None = None
    rows: int = 0
    unsealed: int = 0
    erased: int = 0
    pins: int = 0
    pins_lost: int = 0
    total: int = 0
    breaks: list[Break] = field(default_factory=list)

    def add(self, broken: Iterable[Break]) -> None:
        """Count breaks, and keep the first."""
        for one in broken:
            self.total += 1
            if len(self.breaks) < _BREAKS_KEPT:
                self.breaks.append(one)

    @property
    def head(self) -> bytes:
        """The house's head after the last run."""
        return self.last.head if self.last else NOTHING


def verify(deps: Deps) -> Found:
    """Look through the whole chain and keep the verdict; changes nothing else."""
    found = Found()
    keys = all_keys(deps.keyring)
    with deps.database.reading() as connection:
        started_at = runs.moment(connection).at
    chain = Chain()
    while batch := _follow(deps, chain, keys, found):
        found.last = batch[-1]
    with deps.database.transaction(patient=True) as connection:
        _look_above(connection, found)
        found.add(_erased_by_others(connection, keys, found))
    found.add(_pinned_otherwise(deps, found))
    with deps.database.transaction() as connection:
        verdicts.put(
            connection,
            started_at=started_at,
            run=found.last.n if found.last else 0,
            breaks=found.total,
            first_break=str(found.breaks[0]) if found.breaks else None,
        )
    return found


def verify_alone(deps: Deps) -> None:
    """Look through the chain, unless another process of the house does already."""
    with closing(deps.database.connect_apart()) as apart:
        if not verdicts.is_the_one(apart):
            return
        for one in verify(deps).breaks:
            log.critical("the chain is broken: %s", one)


def _follow(
    deps: Deps, chain: Chain, keys: Mapping[str, bytes], found: Found
) -> list[Run]:
    """Look through the next runs, and return them; none where there are no more."""
    after = chain.run.n if chain.run else 0
    with deps.database.transaction(patient=True) as connection:
        batch = _few_enough(runs.from_run(connection, after + 1, limit=_RUNS_MAX))
        if not batch:
            return []
        links = runs.links_of(connection, batch[0].n, batch[-1].n + 1)
        kept = {n: list(of) for n, of in groupby(links, lambda link: link.run)}
        rows = _Rows(connection, batch, is_first=chain.run is None)
        for run in batch:
            key = keys.get(run.key_id)
            seals = _sealed_anew(run, key or b"", rows, found)
            if key is None:
                what = f"the key {run.key_id} is not among those that are set"
                found.add([Break(what, run.n)])
            found.add(chain.follow(run, key, kept.get(run.n, ()), seals))
    return batch


def _few_enough(batch: list[Run]) -> list[Run]:
    """The first of some runs that hold little in all, or one that holds much."""
    held = 0
    for place, run in enumerate(batch):
        held += sum(run.counts) + run.links
        if held > _HELD_MAX or run.format != batch[0].format:
            return batch[: max(1, place)]
    return batch


class _Rows:
    """The rows of some runs, in order, while they are read."""

    def __init__(
        self, connection: Connection, batch: list[Run], *, is_first: bool
    ) -> None:
        # Nothing may lie below the first run either.
        first = _LOWEST if is_first else batch[0].from_transaction
        self._rows = sealed_rows.of_bounds(
            connection, first, batch[-1].to_transaction, format_=batch[0].format
        )
        self._next = next(self._rows, None)

    def below(self, end: int) -> Iterator[SealedRow]:
        """The next rows, up to those written by a transaction."""
        while self._next is not None and self._next.transaction_id < end:
            yield self._next
            self._next = next(self._rows, None)


def _sealed_anew(
    run: Run, key: bytes, rows: _Rows, found: Found
) -> dict[str, RowsSeal]:
    seals: dict[str, RowsSeal] = {}
    for row in rows.below(run.to_transaction):
        if row.transaction_id < run.from_transaction:
            found.add([below_all_runs(row)])
            continue
        if not row.is_sound:
            found.add([words_differ(run, row)])
        one = seals.get(row.license_id)
        if one is None:
            one = seals[row.license_id] = RowsSeal(key)
        one.add(row)
    found.rows += sum(sum(one.counts) for one in seals.values())
    return seals


def _look_above(connection: Connection, found: Found) -> None:
    """Count what is not sealed yet, and find what can never be."""
    last, now = found.last, runs.moment(connection)
    try:
        runs.check_same_server(last, now)
    except DatabaseRestored as error:
        found.add([Break(f"{error}: see `holdfast audit --new-era`")])
        return
    end = (last.era if last else 0) * ERA + now.next
    found.unsealed = sealed_rows.count(
        connection, last.to_transaction if last else _LOWEST, end
    )
    beyond = sealed_rows.of_bounds(connection, end, _HIGHEST)
    found.add(never_was(row) for row in beyond)


def _erased_by_others(
    connection: Connection, keys: Mapping[str, bytes], found: Found
) -> Iterator[Break]:
    for erasure in erasures.every(connection):
        found.erased += 1
        key = keys.get(erasure.key_id)
        what = erasure.table, erasure.row_id, erasure.erased_at
        if key is None or erasure_seal(key, *what) != erasure.seal:
            yield Break(
                "its words were erased, and not by this house",
                table=erasure.table,
                row=erasure.row_id,
            )


def _pinned_otherwise(deps: Deps, found: Found) -> Iterator[Break]:
    pinned = pins.every(deps.settings)
    while batch := list(islice(pinned, _PINS_AT_ONCE)):
        with deps.database.transaction() as connection:
            heads = runs.heads_at(connection, [pin.run for pin in batch])
        for pin in batch:
            found.pins += 1
            era, head = heads.get(pin.run, (None, b""))
            if era is not None and era > pin.era:
                found.pins_lost += 1
            elif era is None:
                yield Break("was pinned, and the chain ends before it", pin.run)
            elif (era, head.hex()) != (pin.era, pin.head):
                yield Break("has another head than was pinned", pin.run)
