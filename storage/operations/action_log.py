"""The action log: who did what, when, why, and from where; only ever added to.

An action is noted in the transaction that acts, and only where something changes: a
refusal, or a verb that finds everything as it should be, leaves none.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text


class Actor(NamedTuple):
    """Who acts, and from where.

    `name` is that of the API key, whose id is `key_id`, or of the machine's user on the
    command line; `origin` the client's address, or `command line on HOST`. `person` is
    whom the key names, or that user.
    """

    name: str
    origin: str
    key_id: str | None = None
    person: str | None = None


class Acting(NamedTuple):
    """By whom something is done, and why; `bulk_id` where to many at once."""

    actor: Actor
    reason: str | None = None
    bulk_id: str | None = None


class Target(NamedTuple):
    """What is acted on; `license_id` is None for what is the house's."""

    kind: str
    id: str
    license_id: str | None = None


_NOTE = text("""
WITH noted AS (
  INSERT INTO actions (key_id, actor, origin, verb, target_kind, target, license_id,
                       reason, affected, bulk_id)
  VALUES (:key_id, :actor, :origin, :verb, :kind, :target, :license_id, :reason,
          :affected, :bulk_id)
  RETURNING id)
SELECT id, set_config('holdfast.action', CAST(id AS text), true) FROM noted
""")


def note(
    connection: Connection,
    acting: Acting,
    verb: str,
    target: Target,
    *,
    affected: int = 1,
) -> int:
    """Write an action down and return its id.

    What this transaction changes of jobs from here on is put down to it.
    """
    row = connection.execute(
        _NOTE,
        {
            "key_id": acting.actor.key_id,
            "actor": acting.actor.name,
            "origin": acting.actor.origin,
            "verb": verb,
            "kind": target.kind,
            "target": target.id,
            "license_id": target.license_id,
            "reason": acting.reason,
            "affected": affected,
            "bulk_id": acting.bulk_id,
        },
    ).one()
    return int(row.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """An action as it was written down."""

    id: int
    at: datetime
    key_id: str | None
    actor: str
    origin: str
    verb: str
    target_kind: str
    target: str
    license_id: str | None
    reason: str | None
    affected: int
    bulk_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedActions:
    """Which actions to list; what is None does not matter. `before` is an id."""

    license_id: str | None = None
    job_id: str | None = None
    bulk_id: str | None = None
    before: int | None = None


_CONDITIONS = {
    "license_id": "license_id = :license_id",
    "job_id": "target_kind = 'job' AND target = :job_id",
    "bulk_id": "bulk_id = :bulk_id",
    "before": "id < :before",
}


def actions(
    connection: Connection, wanted: WantedActions, *, limit: int = 100
) -> list[Action]:
    """The newest actions, or those before one of them."""
    asked = {name: one for name, one in asdict(wanted).items() if one is not None}
    conditions = [_CONDITIONS[name] for name in asked]
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = connection.execute(
        text(f"""
            SELECT id, at, key_id, actor, origin, verb, target_kind, target, license_id,
                   reason, affected, bulk_id
              FROM actions {where} ORDER BY id DESC LIMIT :limit"""),  # noqa: S608 - constants
        {**asked, "limit": limit},
    ).mappings()
    return [Action(**row) for row in rows]
