"""Charges that can be given back, and the notes that people make of them."""

from sqlalchemy import Connection, text

from storage.database import Database
from storage.refunds import credit_notes
from storage.refunds.credit_notes import Author, Decision, MakeResult, Wanted
from tests.support.stored_jobs import charge_of, end_job, make_job, make_license, settle

ADA = Author("Ada", "Ada", None)
BOB = Author("Bob", "Bob", None)
NOBODY = Author("a key")
"""A key that names nobody."""


def make_charges(
    connection: Connection, count: int, *, license_id: str = "acme", job: str = "job-1"
) -> list[int]:
    """So many charges of one credit each, of a license's job that has ended."""
    make_license(connection, license_id, credits_granted=5_000)
    return more_charges(connection, count, license_id=license_id, job=job)


def more_charges(
    connection: Connection, count: int, *, license_id: str = "acme", job: str = "job-1"
) -> list[int]:
    """The same of a license that is there."""
    make_job(connection, job, count, license_id=license_id)
    names = [f"company:{job}-{number}" for number in range(count)]
    settle(connection, job, *(f"{name}=1" for name in names))
    end_job(connection, job)
    return [charge_of(connection, job, name) for name in names]


def ask(
    connection: Connection,
    charge_ids: list[int],
    author: Author = ADA,
    *,
    most: int | None = None,
    license_id: str = "acme",
    job_id: str | None = None,
) -> tuple[Decision, int | None]:
    """Ask for a note; what was decided, and its id where it was made."""
    decision = credit_notes.decide(
        connection,
        Wanted(
            license_id=license_id,
            reason="a test",
            charge_ids=charge_ids,
            job_id=job_id,
        ),
        author,
        approval_credits=most,
    )
    if decision.result in {MakeResult.BOOKED, MakeResult.AWAITING_APPROVAL}:
        return decision, credit_notes.carry_out(connection, decision)
    return decision, None


def result_of(
    database: Database,
    charge_ids: list[int],
    author: Author = ADA,
    *,
    most: int | None = None,
    license_id: str = "acme",
) -> MakeResult:
    """What came of asking for a note, in a transaction of its own."""
    with database.transaction() as connection:
        decision, _ = ask(
            connection, charge_ids, author, most=most, license_id=license_id
        )
    return decision.result


def refunded(connection: Connection) -> list[int]:
    """All charges that were given back."""
    rows = connection.execute(text("SELECT charge_id FROM refunds ORDER BY charge_id"))
    return list(rows.scalars())


def numbers(connection: Connection, license_id: str = "acme") -> list[int]:
    """The numbers of a license's notes, in the order of their booking."""
    rows = connection.execute(
        text("""
            SELECT number FROM credit_notes
             WHERE license_id = :license_id AND number IS NOT NULL
             ORDER BY decided_at, number"""),
        {"license_id": license_id},
    )
    return list(rows.scalars())
