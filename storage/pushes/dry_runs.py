"""Dry runs: what would become of a quote's records in a CRM, by reads only."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.crm_changes import Forecast
from storage.jobs import outbox
from storage.state_machine import DryRunState

RUN = "dry_run.run"
"""The outbox topic under which a dry run is queued, once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """A dry run as it stands; the counts grow while it runs."""

    id: str
    license_id: str
    quote_id: str
    state: DryRunState
    error_code: str | None
    error_detail: str | None
    created_at: datetime
    finished_at: datetime | None
    create: int
    update: int
    unchanged: int
    ambiguous: int
    refused: int
    exclude: int


class Item(NamedTuple):
    """What would become of one record; code and message where it is not plain."""

    record: int
    person_id: str | None
    outcome: Forecast
    code: str | None = None
    message: str | None = None


def create(
    connection: Connection, dry_run_id: str, license_id: str, quote_id: str
) -> None:
    """Keep a dry run of a quote, and queue it."""
    connection.execute(
        text("""
            INSERT INTO dry_runs (id, license_id, quote_id)
            VALUES (:id, :license_id, :quote_id)"""),
        {"id": dry_run_id, "license_id": license_id, "quote_id": quote_id},
    )
    outbox.put(connection, RUN, dry_run_id)


_GET = text("""
SELECT d.id, d.license_id, d.quote_id, d.state, d.error_code, d.error_detail,
       d.created_at, d.finished_at, i.*
  FROM dry_runs AS d
 CROSS JOIN LATERAL (
       SELECT count(*) FILTER (WHERE outcome = 'create') AS "create",
              count(*) FILTER (WHERE outcome = 'update') AS update,
              count(*) FILTER (WHERE outcome = 'unchanged') AS unchanged,
              count(*) FILTER (WHERE outcome = 'ambiguous') AS ambiguous,
              count(*) FILTER (WHERE outcome = 'refused') AS refused,
              count(*) FILTER (WHERE outcome = 'exclude') AS exclude
         FROM dry_run_items WHERE dry_run_id = d.id) AS i
 WHERE d.id = :id
""")


def get(connection: Connection, dry_run_id: str) -> DryRun | None:
    """The dry run of this id."""
    row = connection.execute(_GET, {"id": dry_run_id}).mappings().one_or_none()
    return None if row is None else DryRun(**row)


def start(connection: Connection, dry_run_id: str) -> None:
    """Begin, and begin anew where another worker did not come to the end."""
    connection.execute(
        text("DELETE FROM dry_run_items WHERE dry_run_id = :id"), {"id": dry_run_id}
    )
    connection.execute(
        text("UPDATE dry_runs SET state = 'running' WHERE id = :id"),
        {"id": dry_run_id},
    )


def add(connection: Connection, dry_run_id: str, items: Sequence[Item]) -> None:
    """Keep what would become of some records."""
    connection.execute(
        text("""
            INSERT INTO dry_run_items (dry_run_id, record, person_id, outcome, code,
                                       message)
            SELECT :id, (i ->> 0)::integer, i ->> 1, i ->> 2, i ->> 3, i ->> 4
              FROM json_array_elements(CAST(:items AS json)) AS i
            ON CONFLICT (dry_run_id, record) DO NOTHING"""),
        {"id": dry_run_id, "items": json.dumps(items)},
    )


def end(
    connection: Connection,
    dry_run_id: str,
    state: DryRunState,
    *,
    code: str | None = None,
    detail: str | None = None,
) -> None:
    """End a dry run."""
    connection.execute(
        text("""
            UPDATE dry_runs SET state = :state, error_code = :code,
                   error_detail = :detail, finished_at = holdfast_now()
             WHERE id = :id AND finished_at IS NULL"""),
        {"id": dry_run_id, "state": state.value, "code": code, "detail": detail},
    )


def items(
    connection: Connection, dry_run_id: str, *, after: int, limit: int
) -> list[Item]:
    """What would become of each record, in their order, from behind one of them."""
    rows = connection.execute(
        text("""
            SELECT record, person_id, outcome, code, message FROM dry_run_items
             WHERE dry_run_id = :id AND record > :after
             ORDER BY record LIMIT :limit"""),
        {"id": dry_run_id, "after": after, "limit": limit},
    )
    return [Item(*row) for row in rows]


def erase(connection: Connection, person_id: str, license_id: str | None) -> int:
    """Forget what dry runs have said of a person."""
    return connection.execute(
        text("""
            DELETE FROM dry_run_items
             WHERE holdfast_trimmed(person_id) = :person_id
               AND (CAST(:license_id AS text) IS NULL OR dry_run_id IN (
                    SELECT id FROM dry_runs WHERE license_id = :license_id))"""),
        {"person_id": person_id, "license_id": license_id},
    ).rowcount


def forget(connection: Connection, *, after_s: float, limit: int) -> int:
    """Dry runs of so long ago, with all that they have said."""
    return connection.execute(
        text("""
            DELETE FROM dry_runs WHERE id IN (
              SELECT id FROM dry_runs
               WHERE created_at < (
                     SELECT holdfast_confirmed_now() - make_interval(secs => :after_s))
               ORDER BY created_at LIMIT :limit)"""),
        {"after_s": after_s, "limit": limit},
    ).rowcount


def license_of(connection: Connection, dry_run_id: str) -> str | None:
    """Whose dry run it is, if it exists."""
    return connection.execute(
        text("SELECT license_id FROM dry_runs WHERE id = :id"), {"id": dry_run_id}
    ).scalar_one_or_none()
