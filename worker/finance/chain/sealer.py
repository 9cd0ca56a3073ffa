"""The sealer: each minute it seals what was written, and pins the house's head outside.

Nobody waits for it, and it waits for nobody who writes: it reads what no transaction
can add to any more. The rows are read as they are sealed, so a long past costs time
and no memory.
"""

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection

from storage.finance.chain import runs, sealed_rows
from storage.finance.chain.runs import NOTHING, Link, Moment, Run
from storage.tables.column_types import ERA
from worker.finance.chain import pins
from worker.finance.chain.keys import sealing_key
from worker.finance.chain.seals import RowsSeal, link_head, run_head
from worker.infrastructure.dependencies import Deps


def seal(deps: Deps, *, wait: bool = True) -> Run:
    """Seal all that was written by transactions that have ended, and pin the head.

    What was committed before this is called is sealed, unless an older transaction is
    still open. Raises `SealerBusy` where another seals, after a while with `wait`;
    `DatabaseRestored` where the server is not the one of the last run; and `PinBroken`
    where the chain ends before what is pinned, or differs from it: then nothing is
    sealed.
    """
    pinned = pins.last(deps.settings)
    with deps.database.transaction(patient=True) as connection:
        runs.take_turn(connection, wait=wait)
        pins.check(connection, pinned)
        before, now = runs.last(connection), runs.moment(connection)
        runs.check_same_server(before, now)
        era = before.era if before else 0
        run = seal_up_to(
            deps, connection, before, now, era=era, end=era * ERA + now.oldest
        )
    pins.pin(deps, run)
    return run


def seal_up_to(
    deps: Deps,
    connection: Connection,
    before: Run | None,
    now: Moment,
    *,
    era: int,
    end: int,
) -> Run:
    """Seal what transactions below `end` wrote: none of them can write any more."""
    key_id, key = sealing_key(deps.keyring)
    first = before.to_transaction if before else 0
    draft = Run(
        n=before.n + 1 if before else 1,
        format=sealed_rows.FORMAT,
        from_transaction=first,
        to_transaction=end,
        era=era,
        system_identifier=now.system_identifier,
        charges=0,
        refunds=0,
        transfers=0,
        links=0,
        key_id=key_id,
        previous_head=before.head if before else NOTHING,
        head=NOTHING,
        sealed_at=now.at,
    )
    seals = _read(connection, draft, key)
    links = _links(connection, draft, key, seals)
    counts = runs.total_of(links)
    draft = replace(draft, **counts._asdict(), links=len(links))
    run = replace(draft, head=run_head(key, draft, links))
    runs.put(connection, run, links)
    return run


def _read(connection: Connection, run: Run, key: bytes) -> dict[str, RowsSeal]:
    """What is sealed of each license that has rows."""
    first, end = run.from_transaction, run.to_transaction
    sealed_rows.note_texts(connection, first, end)
    seals: dict[str, RowsSeal] = {}
    for row in sealed_rows.of_bounds(connection, first, end):
        one = seals.get(row.license_id)
        if one is None:
            one = seals[row.license_id] = RowsSeal(key)
        one.add(row)
    return seals


def _links(
    connection: Connection, run: Run, key: bytes, seals: Mapping[str, RowsSeal]
) -> list[Link]:
    heads = runs.heads_of(connection, seals)
    return [
        _link(run, key, license_id, seals[license_id], heads.get(license_id))
        for license_id in sorted(seals)
    ]


def _link(
    run: Run,
    key: bytes,
    license_id: str,
    rows: RowsSeal,
    before: tuple[int, bytes] | None,
) -> Link:
    position, head = before or (0, NOTHING)
    draft = Link(
        license_id=license_id,
        run=run.n,
        position=position + 1,
        **rows.counts._asdict(),
        locators=rows.locators,
        previous_head=head,
        head=NOTHING,
    )
    return replace(draft, head=link_head(key, draft, run, rows.digest))
