"""Credit notes as people ask for them: one, those of a license, period or state."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.refunds.credit_notes import NoteState


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditNote:
    """A credit note; `credits` is what it gave back, or is to."""

    id: int
    license_id: str
    number: int | None
    state: NoteState
    job_id: str | None
    credits: int
    charges: int
    """How many charges it is about."""
    reason: str | None
    author: str
    created_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str | None


_NOTES = """
SELECT n.id, n.license_id, n.number, n.state, n.job_id, n.credits, n.reason, n.author,
       n.created_at, n.decided_by, n.decided_at, n.decision_reason, c.charges
  FROM credit_notes AS n CROSS JOIN LATERAL (
       SELECT count(*) AS charges FROM credit_note_charges
        WHERE credit_note_id = n.id) AS c
"""


_THAT_GAVE_BACK = "SELECT credit_note_id FROM refunds WHERE charge_id = :id"


def get(connection: Connection, note_id: int) -> CreditNote | None:
    """The note of this id."""
    found = connection.execute(text(f"{_NOTES} WHERE n.id = :id"), {"id": note_id})
    row = found.mappings().one_or_none()
    return None if row is None else _note(dict(row))


def of_charge(connection: Connection, charge_id: int) -> CreditNote | None:
    """The note that has given a charge back, if one has."""
    found = connection.execute(
        text(f"{_NOTES} WHERE n.id = ({_THAT_GAVE_BACK})"),
        {"id": charge_id},
    )
    row = found.mappings().one_or_none()
    return None if row is None else _note(dict(row))


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedNotes:
    """Which notes to list; what is None does not matter. `before` is an id."""

    license_id: str | None = None
    period_starts_at: datetime | None = None
    state: NoteState | None = None
    job_id: str | None = None
    before: int | None = None


_CONDITIONS = {
    "license_id": "n.license_id = :license_id",
    "period_starts_at": """EXISTS (
      SELECT FROM credit_note_charges AS each JOIN periods AS p ON p.id = each.period_id
       WHERE each.credit_note_id = n.id AND p.starts_at = :period_starts_at)""",
    "state": "n.state = :state",
    "job_id": "n.job_id = :job_id",
    "before": "n.id < :before",
}


def find(
    connection: Connection, wanted: WantedNotes, *, limit: int
) -> list[CreditNote]:
    """The newest notes, or those before one of them."""
    asked = {name: one for name, one in asdict(wanted).items() if one is not None}
    conditions = " AND ".join(_CONDITIONS[name] for name in asked) or "true"
    rows = connection.execute(
        text(f"{_NOTES} WHERE {conditions} ORDER BY n.id DESC LIMIT :limit"),
        asked | {"limit": limit},
    )
    return [_note(dict(row)) for row in rows.mappings()]


class NoteCharge(NamedTuple):
    """A charge of a note; `refunded` says whether this note has given it back."""

    charge_id: int
    credits: int
    refunded: bool


def charges(
    connection: Connection, note_id: int, *, after: int, limit: int
) -> list[NoteCharge]:
    """The charges of a note in the order of their ids, after one of them."""
    rows = connection.execute(
        text("""
            SELECT each.charge_id, each.credits,
                   coalesce(r.credit_note_id = :id, false) AS refunded
              FROM credit_note_charges AS each
              LEFT JOIN refunds AS r ON r.charge_id = each.charge_id
             WHERE each.credit_note_id = :id AND each.charge_id > :after
             ORDER BY each.charge_id LIMIT :limit"""),
        {"id": note_id, "after": after, "limit": limit},
    )
    return [NoteCharge(*row) for row in rows]


def given_back_elsewhere(connection: Connection, note_id: int) -> list[int]:
    """The first 500 charges of a note that were given back, but not by it."""
    rows = connection.execute(
        text("""
            SELECT each.charge_id FROM credit_note_charges AS each
              JOIN refunds AS r ON r.charge_id = each.charge_id
             WHERE each.credit_note_id = :id
               AND r.credit_note_id IS DISTINCT FROM :id
             ORDER BY each.charge_id LIMIT 500"""),
        {"id": note_id},
    )
    return list(rows.scalars())


def license_of(connection: Connection, note_id: int) -> str | None:
    """Whose a note is."""
    found: str | None = connection.execute(
        text("SELECT license_id FROM credit_notes WHERE id = :id"), {"id": note_id}
    ).scalar_one_or_none()
    return found


def _note(row: dict[str, object]) -> CreditNote:
    state = NoteState(str(row["state"]))
    return CreditNote(**row | {"state": state})  # type: ignore[arg-type]
