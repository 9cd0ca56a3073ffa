"""Credit notes as their rows have them: what each says, and what its charges do."""

from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.finance.reconciliation.period_rows import PeriodRow


class NoteRow(NamedTuple):
    """A credit note that a period's refunds or charges name; None where it is none.

    `refunded` sums the refunds that name it, `asked` the charges that it is about.
    `strange_refunds` are of another license or job, have another reason (as long as the
    note's is not erased), or are of a charge that it is not about; `strange_charges`
    are not as the charges themselves are, or as the note is.
    """

    id: int
    license_id: str | None
    state: str | None
    credits: int | None
    refunded: int
    asked: int
    strange_refunds: int
    strange_charges: int


_NOTES = text("""
WITH named AS (
  SELECT credit_note_id AS id FROM refunds
   WHERE period_id = :period_id AND credit_note_id IS NOT NULL
  UNION
  SELECT credit_note_id FROM credit_note_charges WHERE period_id = :period_id)
SELECT named.id, n.license_id, n.state, n.credits, r.credits, c.credits, r.strange,
       c.strange
  FROM named LEFT JOIN credit_notes AS n USING (id)
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(r.credits), 0)::bigint AS credits,
              count(*) FILTER (WHERE r.license_id <> n.license_id
                               OR n.job_id IS NOT NULL
                                  AND r.job_id IS DISTINCT FROM n.job_id
                               OR r.reason <> n.reason
                               OR each.charge_id IS NULL) AS strange
         FROM refunds AS r
         LEFT JOIN credit_note_charges AS each
           ON each.credit_note_id = named.id AND each.charge_id = r.charge_id
        WHERE r.credit_note_id = named.id) AS r
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(each.credits), 0)::bigint AS credits,
              count(*) FILTER (
                WHERE (each.credits, each.period_id, each.state, n.license_id)
                      IS DISTINCT FROM (c.credits, c.period_id, n.state, c.license_id)
                   OR n.job_id IS NOT NULL
                      AND c.job_id IS DISTINCT FROM n.job_id) AS strange
         FROM credit_note_charges AS each
         LEFT JOIN charges AS c ON c.id = each.charge_id
        WHERE each.credit_note_id = named.id) AS c
 ORDER BY named.id
""")


def of_period(connection: Connection, period: PeriodRow) -> list[NoteRow]:
    """The credit notes that give something back to a period, or are asked to."""
    rows = connection.execute(_NOTES, {"period_id": period.id})
    return [NoteRow(*row) for row in rows]


class Numbers(NamedTuple):
    """How many notes of a license are booked, their highest number, and the last."""

    booked: int
    highest: int
    last: int


def numbers(connection: Connection, license_id: str) -> Numbers:
    """The numbers of a license's credit notes."""
    row = connection.execute(
        text("""
            SELECT count(*), coalesce(max(number), 0),
                   coalesce((SELECT last FROM credit_note_numbers
                              WHERE license_id = :license_id), 0)
              FROM credit_notes
             WHERE license_id = :license_id AND state = 'booked'"""),
        {"license_id": license_id},
    ).one()
    return Numbers(*row)
