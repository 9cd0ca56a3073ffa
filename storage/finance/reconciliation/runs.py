"""Reconciliations as rows: queued, run by one at a time, resumed from their cursor.

Whoever runs one holds a lease and renews it with each step; what a step found is kept
in the transaction that moves the cursor, so that a kill repeats nothing and skips
nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import IntegrityError

from storage.array_literals import array
from storage.errors import StorageError, Superseded, is_violation

FINDINGS_MAX = 10_000
"""About so many findings of a kind are kept of one run; all are counted."""

OPEN = "open"
"""The name of all periods that have not ended."""


class AnotherRuns(StorageError):
    """Another reconciliation runs on this database."""


class FindingKind(StrEnum):
    """What a finding says."""

    DIFFERENCE = "difference"
    NOT_RECOMPUTABLE = "not_recomputable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What differs, or why something could not be recomputed.

    `place` is what was compared and `row_id` the row that it is about. `charges` counts
    those that one finding stands for.
    """

    kind: FindingKind = FindingKind.DIFFERENCE
    license_id: str
    place: str
    row_id: str
    expected: str
    found: str
    job_id: str | None = None
    record: int | None = None
    charge_id: int | None = None
    charges: int = 0


@dataclass(slots=True, kw_only=True)
class Counts:
    """What one step looked at."""

    periods: int = 0
    jobs: int = 0
    charges: int = 0
    recomputed: int = 0
    not_recomputable: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A reconciliation, as it stands."""

    id: int
    period: str
    license_id: str | None
    nightly: bool
    state: str
    cursor_period: int
    cursor_reservation: int
    periods: int
    jobs: int
    charges: int
    recomputed: int
    not_recomputable: int
    differences: int
    worked_s: float
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


_COLUMNS = """
id, period, license_id, nightly, state, cursor_period, cursor_reservation, periods,
jobs, charges, recomputed, not_recomputable, differences, worked_s, error, created_at,
started_at, finished_at
"""


def _run(row: Row[Any]) -> Run:
    return Run(**row._mapping)  # noqa: SLF001 - its public name


def put(
    connection: Connection,
    period: str,
    license_id: str | None,
    *,
    nightly: bool = False,
) -> int:
    """Queue a reconciliation; its id."""
    made: int = connection.execute(
        text("""
            INSERT INTO reconciliations (period, license_id, nightly)
            VALUES (:period, :license_id, :nightly) RETURNING id"""),
        {"period": period, "license_id": license_id, "nightly": nightly},
    ).scalar_one()
    return made


def get(connection: Connection, run_id: int) -> Run | None:
    """The reconciliation of this id."""
    row = connection.execute(
        text(f"SELECT {_COLUMNS} FROM reconciliations WHERE id = :id"),  # noqa: S608 - a constant
        {"id": run_id},
    ).one_or_none()
    return None if row is None else _run(row)


def newest(
    connection: Connection, *, license_id: str | None, before: int, limit: int
) -> list[Run]:
    """Reconciliations, the newest first; those of one license, or all."""
    rows = connection.execute(
        text(f"""
            SELECT {_COLUMNS} FROM reconciliations
             WHERE id < :before
               AND (CAST(:license_id AS text) IS NULL OR license_id = :license_id)
             ORDER BY id DESC LIMIT :limit"""),  # noqa: S608 - a constant
        {"license_id": license_id, "before": before, "limit": limit},
    )
    return [_run(row) for row in rows]


_TAKE = f"""
UPDATE reconciliations
   SET state = 'running', owner = :owner,
       started_at = coalesce(started_at, clock_timestamp()),
       lease_until = clock_timestamp() + make_interval(secs => :lease_s)
 WHERE id = (SELECT id FROM reconciliations
              WHERE (state = 'queued'
                     OR (state = 'running' AND lease_until < clock_timestamp()))
                AND (CAST(:id AS bigint) IS NULL OR id = :id)
              ORDER BY state = 'running' DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING {_COLUMNS}
"""  # noqa: S608 - a constant


def take(
    connection: Connection, owner: str, *, lease_s: float, run_id: int | None = None
) -> Run | None:
    """Run one that waits, one that was left behind first; None where there is none.

    Raises `AnotherRuns`: then the transaction is over.
    """
    try:
        row = connection.execute(
            text(_TAKE), {"owner": owner, "lease_s": lease_s, "id": run_id}
        ).one_or_none()
    except IntegrityError as error:
        if is_violation(error, "reconciliations_running_key"):
            raise AnotherRuns("another reconciliation runs") from error
        raise
    return None if row is None else _run(row)


def keep_lease(
    connection: Connection, run_id: int, owner: str, *, lease_s: float
) -> None:
    """Hold a run on. Raises `Superseded` where it is another's by now."""
    held = connection.execute(
        text("""
            UPDATE reconciliations
               SET lease_until = clock_timestamp() + make_interval(secs => :lease_s)
             WHERE id = :id AND owner = :owner AND state = 'running'"""),
        {"id": run_id, "owner": owner, "lease_s": lease_s},
    )
    if held.rowcount != 1:
        raise Superseded(f"reconciliation {run_id} is run by another")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a step of a run has found, and where the next one begins."""

    period_id: int
    reservation_id: int
    counts: Counts
    findings: Sequence[Finding]
    worked_s: float


def advance(
    connection: Connection, run_id: int, owner: str, step: Step, *, lease_s: float
) -> None:
    """Keep a step. Raises `Superseded` where the run is another's by now."""
    differences = sum(one.kind is FindingKind.DIFFERENCE for one in step.findings)
    counts = step.counts
    held = connection.execute(
        text("""
            UPDATE reconciliations
               SET lease_until = clock_timestamp() + make_interval(secs => :lease_s),
                   error = NULL,
                   cursor_period = :period_id, cursor_reservation = :reservation_id,
                   periods = periods + :periods, jobs = jobs + :jobs,
                   charges = charges + :charges, recomputed = recomputed + :recomputed,
                   not_recomputable = not_recomputable + :not_recomputable,
                   differences = differences + :differences,
                   worked_s = worked_s + :worked_s
             WHERE id = :id AND owner = :owner AND state = 'running'"""),
        {
            "id": run_id,
            "owner": owner,
            "lease_s": lease_s,
            "period_id": step.period_id,
            "reservation_id": step.reservation_id,
            "periods": counts.periods,
            "jobs": counts.jobs,
            "charges": counts.charges,
            "recomputed": counts.recomputed,
            "not_recomputable": counts.not_recomputable,
            "differences": differences,
            "worked_s": step.worked_s,
        },
    )
    if held.rowcount != 1:
        raise Superseded(f"reconciliation {run_id} is run by another")
    _keep(connection, run_id, step.findings)


def _keep(connection: Connection, run_id: int, findings: Sequence[Finding]) -> None:
    if not findings:
        return
    columns = (
        *("kind", "license_id", "job_id", "record", "charge_id", "place"),
        *("row_id", "expected", "found", "charges"),
    )
    connection.execute(
        text("""
            INSERT INTO reconciliation_findings
                   (reconciliation_id, kind, license_id, job_id, record, charge_id,
                    place, row_id, expected, found, charges)
            SELECT :run_id, *
              FROM unnest(CAST(:kind AS text[]), CAST(:license_id AS text[]),
                          CAST(:job_id AS text[]), CAST(:record AS integer[]),
                          CAST(:charge_id AS bigint[]), CAST(:place AS text[]),
                          CAST(:row_id AS text[]), CAST(:expected AS text[]),
                          CAST(:found AS text[]), CAST(:charges AS bigint[]))
                AS each (kind, license_id, job_id, record, charge_id, place, row_id,
                         expected, found, charges)
             WHERE (SELECT count(*)
                      FROM (SELECT FROM reconciliation_findings AS f
                             WHERE f.reconciliation_id = :run_id
                               AND f.kind = each.kind LIMIT :most) AS kept) < :most"""),
        {"run_id": run_id, "most": FINDINGS_MAX}
        | {name: array([getattr(one, name) for one in findings]) for name in columns},
    )


def put_off(
    connection: Connection, run_id: int, owner: str, *, why: str, again_s: float
) -> None:
    """Leave a run to whoever takes it in so many seconds, from where it has come to.

    Raises `Superseded` where it is another's.
    """
    left = connection.execute(
        text("""
            UPDATE reconciliations
               SET owner = NULL, error = :why,
                   lease_until = clock_timestamp() + make_interval(secs => :again_s)
             WHERE id = :id AND owner = :owner AND state = 'running'"""),
        {"id": run_id, "owner": owner, "why": why, "again_s": again_s},
    )
    if left.rowcount != 1:
        raise Superseded(f"reconciliation {run_id} is run by another")


def end(
    connection: Connection, run_id: int, owner: str, *, error: str | None = None
) -> None:
    """End a run, well or with an error. Raises `Superseded` where it is another's."""
    ended = connection.execute(
        text("""
            UPDATE reconciliations
               SET state = CASE WHEN CAST(:error AS text) IS NULL THEN 'done'
                           ELSE 'failed' END,
                   error = :error, lease_until = NULL,
                   finished_at = clock_timestamp()
             WHERE id = :id AND owner = :owner AND state = 'running'"""),
        {"id": run_id, "owner": owner, "error": error},
    )
    if ended.rowcount != 1:
        raise Superseded(f"reconciliation {run_id} is run by another")


def forget(connection: Connection, *, after_s: float) -> int:
    """Remove what runs have found that ended so long ago; their counts stay."""
    return connection.execute(
        text("""
            DELETE FROM reconciliation_findings
             WHERE reconciliation_id IN (
                   SELECT id FROM reconciliations
                    WHERE finished_at < (SELECT holdfast_confirmed_clock()
                                              - make_interval(secs => :after_s)))"""),
        {"after_s": after_s},
    ).rowcount


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFinding:
    """A finding with its id."""

    id: int
    kind: str
    license_id: str
    job_id: str | None
    record: int | None
    charge_id: int | None
    place: str
    row_id: str
    expected: str
    found: str
    charges: int


class Shown(NamedTuple):
    """A reconciliation with some of what it found.

    `reasons` are why charges could not be computed again, by job.
    """

    run: Run
    differences: Sequence[KeptFinding]
    reasons: Sequence[KeptFinding]


def findings(
    connection: Connection,
    run_id: int,
    kind: FindingKind,
    *,
    after: int = 0,
    limit: int = 100,
) -> list[KeptFinding]:
    """What a run found, in the order in which it did."""
    rows = connection.execute(
        text("""
            SELECT id, kind, license_id, job_id, record, charge_id, place, row_id,
                   expected, found, charges
              FROM reconciliation_findings
             WHERE reconciliation_id = :run_id AND kind = :kind AND id > :after
             ORDER BY id LIMIT :limit"""),
        {"run_id": run_id, "kind": kind.value, "after": after, "limit": limit},
    )
    return [KeptFinding(**row) for row in rows.mappings()]


@dataclass(frozen=True, slots=True, kw_only=True)
class LastVerdict:
    """The last reconciliation of all licenses that ended; its age in seconds."""

    run: Run
    age_s: float


def last_verdict(connection: Connection) -> LastVerdict | None:
    """How the house stood when all of it was last reconciled."""
    row = connection.execute(
        text(f"""
            SELECT {_COLUMNS},
                   extract(epoch FROM clock_timestamp() - finished_at)::float AS age_s
              FROM reconciliations
             WHERE state = 'done' AND license_id IS NULL
             ORDER BY finished_at DESC LIMIT 1"""),  # noqa: S608 - a constant
    ).one_or_none()
    if row is None:
        return None
    values = dict(row._mapping)  # noqa: SLF001 - its public name
    age_s = values.pop("age_s")
    return LastVerdict(run=Run(**values), age_s=age_s)


class Waiting(NamedTuple):
    """How many reconciliations are queued, and which one runs."""

    queued: int
    running: int | None


def waiting(connection: Connection, *, license_id: str | None) -> Waiting:
    """What waits of one license, or of all, and which of them runs."""
    row = connection.execute(
        text("""
            SELECT count(*) FILTER (WHERE state = 'queued'),
                   max(id) FILTER (WHERE state = 'running')
              FROM reconciliations
             WHERE state IN ('queued', 'running')
               AND (CAST(:license_id AS text) IS NULL OR license_id = :license_id)"""),
        {"license_id": license_id},
    ).one()
    return Waiting(*row)


def is_waiting(connection: Connection) -> bool:
    """Whether one is queued, or was left behind by whoever ran it."""
    waits: bool = connection.execute(
        text("""
            SELECT EXISTS (SELECT FROM reconciliations WHERE state = 'queued')
                AND NOT EXISTS (SELECT FROM reconciliations
                                 WHERE state = 'running'
                                   AND lease_until >= clock_timestamp())
                OR EXISTS (SELECT FROM reconciliations
                            WHERE state = 'running'
                              AND lease_until < clock_timestamp())""")
    ).scalar_one()
    return waits


def nightly_is_due(connection: Connection, *, hour: int) -> bool:
    """Whether no nightly one was begun since that hour (UTC) was last passed.

    By the database's clock as far as it is believed; never before there is a license.
    """
    due: bool = connection.execute(
        text("""
            WITH moment AS (SELECT holdfast_clock() AT TIME ZONE 'UTC' AS at),
            last AS (
              SELECT date_trunc('day', at - make_interval(hours => :hour))
                       + make_interval(hours => :hour) AS at FROM moment)
            SELECT EXISTS (SELECT FROM licenses WHERE created_at AT TIME ZONE 'UTC'
                                                      < (SELECT at FROM last))
               AND NOT EXISTS (
                   SELECT FROM reconciliations
                    WHERE nightly
                      AND created_at AT TIME ZONE 'UTC' >= (SELECT at FROM last))"""),
        {"hour": hour},
    ).scalar_one()
    return due


def house_is_busy(connection: Connection) -> bool:
    """Whether somebody waits for a worker, or is being worked for."""
    busy: bool = connection.execute(
        text("""
            SELECT EXISTS (SELECT FROM chunks
                            WHERE state IN ('dispatched', 'running')
                               OR state = 'pending' AND run_at <= clock_timestamp())""")
    ).scalar_one()
    return busy
