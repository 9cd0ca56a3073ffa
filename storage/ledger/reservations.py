"""Reservations: a quote's credits set aside for one job, all or nothing."""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, TextClause, text

from storage.ledger.periods import RUNNING_PERIOD


class ReserveResult(StrEnum):
    """What became of a reservation."""

    CREATED = "created"
    CREATED_AND_LOW = "created_and_low"
    """Created, and little is left of what the period was granted."""
    EXISTS = "exists"
    EXISTS_WITH_DIFFERENT_AMOUNT = "exists_with_different_amount"
    NO_RUNNING_PERIOD = "no_running_period"
    INSUFFICIENT_CREDITS = "insufficient_credits"

    @property
    def is_created(self) -> bool:
        """Whether it is this call that set the credits aside."""
        return self in {self.CREATED, self.CREATED_AND_LOW}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """The credits set aside for one job: `settled + released` never exceed `amount`."""

    id: int
    license_id: str
    period_id: int
    job_id: str
    state: str
    amount: int
    settled: int
    released: int


_RESERVING = f"""
period AS (
  UPDATE periods SET reserved = reserved + :amount
   WHERE {RUNNING_PERIOD}
     AND granted - reserved - spent - expired >= :amount
     AND NOT EXISTS (SELECT FROM reservations WHERE job_id = :job_id)
  RETURNING id, granted - reserved - spent - expired
                < CAST(CAST(:low_share AS double precision) AS numeric) * granted
                AS is_low),
reservation AS (
  INSERT INTO reservations (license_id, period_id, job_id, amount, lifetime_s,
                            deadline_at)
  SELECT :license_id, id, :job_id, :amount, :lifetime_s,
         holdfast_now() + make_interval(secs => :lifetime_s)
    FROM period
  RETURNING id, period_id),
moved AS (
  INSERT INTO transfers (license_id, period_id, reservation_id, kind,
                         from_account, to_account, credits)
  SELECT :license_id, period_id, id, 'reserve', 'available', 'reservation', :amount
    FROM reservation WHERE :amount > 0)
"""  # noqa: S608 - constants only


def reserving(what_follows: str) -> TextClause:
    """The one statement that reserves, and does what follows for each `reservation`.

    It locks the period, on which all of a license wait: so it is the last that a
    transaction runs.
    """
    return text(
        f"WITH {_RESERVING}, {what_follows} SELECT is_low FROM reservation, period"  # noqa: S608 - constants only
    )


def reserve(
    connection: Connection,
    license_id: str,
    job_id: str,
    amount: int,
    *,
    lifetime_s: float,
    low_share: float = 0,
    by: TextClause,
    **more: object,
) -> ReserveResult:
    """Set credits of the running period aside for one job; 0 is a legal amount.

    `by` is the statement that does it, made by `reserving`, with what `more` that
    needs. The reservation's deadline lies `lifetime_s` ahead and moves with each
    settling. Credits are low below `low_share` of what was granted.
    """
    parameters = {
        "license_id": license_id,
        "job_id": job_id,
        "amount": amount,
        "lifetime_s": lifetime_s,
        "low_share": low_share,
    }
    created = connection.execute(by, parameters | more).one_or_none()
    if created is not None:
        if created.is_low:
            return ReserveResult.CREATED_AND_LOW
        return ReserveResult.CREATED
    existing = reservation_of(connection, job_id)
    if existing is not None:
        if existing.license_id == license_id and existing.amount == amount:
            return ReserveResult.EXISTS
        return ReserveResult.EXISTS_WITH_DIFFERENT_AMOUNT
    running = connection.execute(
        text(f"SELECT 1 FROM periods WHERE {RUNNING_PERIOD}"),  # noqa: S608 - a constant
        {"license_id": license_id},
    ).one_or_none()
    if running is None:
        return ReserveResult.NO_RUNNING_PERIOD
    return ReserveResult.INSUFFICIENT_CREDITS


def reservation_of(connection: Connection, job_id: str) -> Reservation | None:
    """The reservation of a job, if it has one."""
    found = connection.execute(
        text("""
            SELECT id, license_id, period_id, job_id, state, amount, settled, released
              FROM reservations WHERE job_id = :job_id"""),
        {"job_id": job_id},
    )
    row = found.mappings().one_or_none()
    return None if row is None else Reservation(**row)
