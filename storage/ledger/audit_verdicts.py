"""What the audit's runs have found: the last verdict, and the violations that stand.

A violation stands from the run that finds it to the first that does not any more. An
operator may acknowledge it: it still stands, and breaks no silence. Acknowledgements
are only ever added.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from storage.errors import StorageError
from storage.ledger.audit import Found
from storage.webhooks import operator_events
from storage.webhooks.operator_events import OperatorEventType

_TOLD_MAX = 100
"""Violations that one event tells of; it counts all."""


class AuditRunning(StorageError):
    """Another audit runs on this database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Who has said what of a violation; `refunded` is the charge given back with it."""

    at: datetime
    by: str
    reason: str
    refunded: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A violation that stands."""

    id: int
    check: str
    digest: str
    detail: str
    found_at: datetime
    seen_at: datetime
    acknowledged: Acknowledgement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """When the last run ended, if any has, and how many violations stand by check.

    Without those that were acknowledged. `late` says that a run should have ended.
    """

    audited_at: datetime | None
    late: bool
    violations: dict[str, int]

    @property
    def state(self) -> str:
        """In a word, the worst first."""
        if self.violations:
            return "violated"
        return "late" if self.late else "ok"


def take_turn(connection: Connection, *, wait: bool) -> None:
    """Be the one audit that runs, until this new transaction ends.

    Raises `AuditRunning` where another is, after a while with `wait`. The lock comes
    before the snapshot: whoever waited sees what the other has found.
    """
    connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    mode = "" if wait else "NOWAIT"
    try:
        connection.execute(
            text(f"LOCK TABLE audit_runs IN SHARE UPDATE EXCLUSIVE MODE {mode}")
        )
    except OperationalError as error:
        if isinstance(error.orig, psycopg.errors.LockNotAvailable):
            raise AuditRunning("another audit is running") from error
        raise


def end_with_client(connection: Connection, *, timeout_s: float) -> None:
    """Let the server end what this transaction asks when its client has gone.

    And each statement after a time, should nobody be left to say so.
    """
    connection.execute(
        text("""
            SELECT set_config('client_connection_check_interval', '2s', true),
                   set_config('statement_timeout', :timeout_ms, true)"""),
        {"timeout_ms": f"{timeout_s * 1000:.0f}"},
    )


def acknowledged(connection: Connection) -> frozenset[str]:
    """The digests of the standing violations that were acknowledged."""
    rows = connection.execute(
        text("""
            SELECT v.digest FROM audit_violations AS v
              JOIN audit_acknowledgements AS a ON a.violation_id = v.id
             WHERE v.cleared_at IS NULL""")
    )
    return frozenset(rows.scalars())


def record(connection: Connection, found: Found) -> list[Standing]:
    """Keep what a run has found; what it found, as it stands.

    The operator is told of what is new, once.
    """
    run_id = connection.execute(
        text("""
            INSERT INTO audit_runs (started_at, violations)
            VALUES (transaction_timestamp(), :violations) RETURNING id"""),
        {"violations": len(found.violations)},
    ).scalar_one()
    by_digest = {violation.digest: violation for violation in found.violations}
    _keep(connection, run_id, found)
    _clear(connection, list(by_digest), found.cut)
    standing = [
        replace(one, detail=by_digest[one.digest].detail)
        for one in violations(connection)
        if one.digest in by_digest
    ]
    _tell(connection, run_id, found.cut)
    return standing


def _keep(connection: Connection, run_id: int, found: Found) -> None:
    connection.execute(
        text("""
            INSERT INTO audit_violations (run_id, check_name, digest, detail)
            SELECT :run_id, * FROM unnest(CAST(:checks AS text[]),
                                          CAST(:digests AS text[]),
                                          CAST(:details AS text[]))
            ON CONFLICT (digest) WHERE cleared_at IS NULL
            DO UPDATE SET seen_at = clock_timestamp()"""),
        {
            "run_id": run_id,
            "checks": [violation.check for violation in found.violations],
            "digests": [violation.digest for violation in found.violations],
            "details": [violation.detail for violation in found.violations],
        },
    )


def _clear(
    connection: Connection, digests: Collection[str], cut: Collection[str]
) -> None:
    """What a run has not found does not stand any more, where it has seen all."""
    connection.execute(
        text("""
            UPDATE audit_violations SET cleared_at = clock_timestamp()
             WHERE cleared_at IS NULL
               AND digest <> ALL (CAST(:digests AS text[]))
               AND check_name <> ALL (CAST(:cut AS text[]))"""),
        {"digests": list(digests), "cut": list(cut)},
    )


def _tell(connection: Connection, run_id: int, cut: Collection[str]) -> None:
    new = connection.execute(
        text("""
            SELECT id, check_name AS check, detail FROM audit_violations
             WHERE run_id = :run_id ORDER BY id"""),
        {"run_id": run_id},
    ).mappings()
    told = [dict(row) for row in new]
    if told:
        counts = dict.fromkeys(sorted({row["check"] for row in told}), 0)
        for row in told:
            counts[row["check"]] += 1
        data = {
            "violations": told[:_TOLD_MAX],
            "counts": counts,
            "more_in": list(cut),
        }
        type_ = OperatorEventType.AUDIT_VIOLATED
        operator_events.put(connection, type_, str(run_id), data)


def violations(connection: Connection) -> list[Standing]:
    """The violations that stand, the first found first."""
    rows = connection.execute(
        text("""
            SELECT v.id, v.check_name, v.digest, v.detail, v.found_at, v.seen_at,
                   a.acknowledged_at, a.acknowledged_by, a.reason, a.refunded_charge_id
              FROM audit_violations AS v
              LEFT JOIN audit_acknowledgements AS a ON a.violation_id = v.id
             WHERE v.cleared_at IS NULL ORDER BY v.id""")
    )
    return [
        Standing(
            id=row.id,
            check=row.check_name,
            digest=row.digest,
            detail=row.detail,
            found_at=row.found_at,
            seen_at=row.seen_at,
            acknowledged=None
            if row.acknowledged_at is None
            else Acknowledgement(
                at=row.acknowledged_at,
                by=row.acknowledged_by,
                reason=row.reason,
                refunded=row.refunded_charge_id,
            ),
        )
        for row in rows
    ]


def verdict(connection: Connection, *, late_after_s: float) -> Verdict:
    """How the ledger stands by the last run; `late` without one for so long.

    Where none has run yet, the time counts from the first license.
    """
    audited_at, late = _last(connection, late_after_s)
    counts = connection.execute(
        text("""
            SELECT check_name, count(*) FROM audit_violations AS v
             WHERE cleared_at IS NULL AND NOT EXISTS (
                   SELECT 1 FROM audit_acknowledgements WHERE violation_id = v.id)
             GROUP BY check_name ORDER BY check_name""")
    )
    found = {check: count for check, count in counts}  # noqa: C416 - rows are no pairs
    return Verdict(audited_at=audited_at, late=late, violations=found)


def is_due(connection: Connection, *, after_s: float) -> bool:
    """Whether no audit has ended for so long."""
    return _last(connection, after_s)[1]


def _last(connection: Connection, after_s: float) -> tuple[datetime | None, bool]:
    """When the last audit ended, and whether that, or the first license, is old."""
    audited_at, is_old = connection.execute(
        text("""
            SELECT last.at, coalesce(last.at, (SELECT min(created_at) FROM licenses))
                     < clock_timestamp() - make_interval(secs => :after_s)
              FROM (SELECT max(finished_at) AS at FROM audit_runs) AS last"""),
        {"after_s": after_s},
    ).one()
    return audited_at, bool(is_old)


def lock(connection: Connection, violation_id: int) -> Standing | None:
    """The standing violation of this id, held until the transaction ends."""
    locked = connection.execute(
        text("""
            SELECT 1 FROM audit_violations WHERE id = :id AND cleared_at IS NULL
               FOR UPDATE"""),
        {"id": violation_id},
    ).one_or_none()
    if locked is None:
        return None
    return next(one for one in violations(connection) if one.id == violation_id)


def acknowledge(
    connection: Connection,
    violation_id: int,
    *,
    by: str,
    reason: str,
    refunded: int | None,
) -> None:
    """Keep what an operator says of a violation that is locked."""
    connection.execute(
        text("""
            INSERT INTO audit_acknowledgements (violation_id, acknowledged_by, reason,
                                                refunded_charge_id)
            VALUES (:violation_id, :by, :reason, :refunded)"""),
        {
            "violation_id": violation_id,
            "by": by,
            "reason": reason,
            "refunded": refunded,
        },
    )
