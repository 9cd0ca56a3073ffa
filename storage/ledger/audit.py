"""The ledger's promises as named checks, each a query that finds what breaks them.

They run after every database test, by the sweeper, and as `holdfast audit`. An
empty answer is the only good one.

A query answers what is wrong, in words. Where the words hold numbers that move with
ordinary business, a second column says what does not: whose promise is broken, and by
how much. That is how a violation is known again.
"""

import hashlib
from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.ledger import entitlements


class Violation(NamedTuple):
    """One row that breaks a promise; `subject` stays the same while it does so."""

    check: str
    detail: str
    subject: str

    @property
    def digest(self) -> str:
        """What it is known again by."""
        return hashlib.sha256(f"{self.check}\0{self.subject}".encode()).hexdigest()


class Found(NamedTuple):
    """The violations of all checks, and the checks that broke more promises yet."""

    violations: list[Violation]
    cut: list[str]


_COUNTERS_ARE_ACCOUNTS = """
SELECT format('period %s of %s: granted %s, reserved %s, spent %s, expired %s; '
              'its transfers say %s, %s, %s, %s', p.id, p.license_id, p.granted,
              p.reserved, p.spent, p.expired, t.granted, t.reserved, t.spent,
              t.expired),
       concat_ws(' ', p.id, p.granted - t.granted, p.reserved - t.reserved,
                 p.spent - t.spent, p.expired - t.expired, p.reserved - open.amount)
  FROM periods AS p
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(settled), 0) AS settled, coalesce(sum(amount), 0) AS amount
         FROM reservations WHERE period_id = p.id AND state = 'open') AS open
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(credits) FILTER (WHERE kind = 'grant'), 0) AS granted,
              coalesce(sum(credits) FILTER (WHERE kind = 'reserve'), 0)
                - coalesce(sum(credits) FILTER (WHERE kind = 'settle'), 0)
                - coalesce(sum(credits) FILTER (WHERE kind = 'release'), 0)
                + open.settled AS reserved,
              coalesce(sum(credits) FILTER (WHERE kind IN ('settle', 'view')), 0)
                - coalesce(sum(credits) FILTER (WHERE kind = 'refund'), 0)
                - open.settled AS spent,
              coalesce(sum(credits) FILTER (WHERE kind = 'expire'), 0)
                - coalesce(sum(credits) FILTER (WHERE kind = 'reopen'), 0) AS expired
         FROM transfers WHERE period_id = p.id) AS t
 WHERE (p.granted, p.reserved, p.spent, p.expired)
       IS DISTINCT FROM (t.granted, t.reserved, t.spent, t.expired)
    OR p.reserved <> open.amount
"""

_SPENT_IS_SETTLED = """
SELECT format('period %s of %s: spent %s, but settled %s, viewed %s and refunded %s',
              p.id, p.license_id, p.spent, s.settled, v.viewed, r.refunded),
       concat_ws(' ', p.id, p.spent - s.settled - v.viewed + r.refunded)
  FROM periods AS p
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(settled), 0) AS settled FROM reservations
        WHERE period_id = p.id AND state = 'closed') AS s
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(credits), 0) AS viewed FROM charges
        WHERE period_id = p.id AND view_id IS NOT NULL) AS v
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(credits), 0) AS refunded FROM refunds
        WHERE period_id = p.id) AS r
 WHERE p.spent <> s.settled + v.viewed - r.refunded
"""

_RESERVATION_IS_ITS_CHARGES = """
SELECT format('reservation of %s: amount %s, settled %s, released %s; charges %s, '
              'reserve %s, settle %s and release %s transferred', r.job_id, r.amount,
              r.settled, r.released, c.charged, t.reserved, t.settled, t.released),
       concat_ws(' ', r.job_id, r.amount - t.reserved, r.settled - t.settled,
                 r.settled - c.charged, r.released - t.released)
  FROM reservations AS r
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(credits), 0) AS charged FROM charges
        WHERE job_id = r.job_id) AS c
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(credits) FILTER (WHERE kind = 'reserve'), 0) AS reserved,
              coalesce(sum(credits) FILTER (WHERE kind = 'settle'), 0) AS settled,
              coalesce(sum(credits) FILTER (WHERE kind = 'release'), 0) AS released
         FROM transfers WHERE reservation_id = r.id) AS t
 WHERE (r.amount, r.settled, r.settled, r.released)
       IS DISTINCT FROM (t.reserved, t.settled, c.charged, t.released)
"""

# Every earlier payer is compared, not the one before alone: a view between two exports
# hides nothing. Spellings of an id that were paid for before ids were trimmed are told
# apart, as they were then; from then on one entitlement decides for all of them.
_ONE_PAYER_A_WINDOW = """
SELECT format('%s %s of %s: charge %s at %s pays within the window from %s, in which '
              'another did, at %s', item, subject, license_id, id, charged_at,
              free_since, greatest(
                exported_at, CASE WHEN views_count THEN viewed_at END))
  FROM (SELECT c.id, c.license_id, c.item, c.subject, c.charged_at,
               coalesce(c.free_since,
                        date_trunc('second', q.quoted_at) - make_interval(
                          days => (q.terms ->> 'window_days')::integer)) AS free_since,
               coalesce((q.terms ->> 'views_count')::boolean, true) AS views_count,
               max(c.charged_at) FILTER (WHERE c.view_id IS NULL) OVER earlier
                 AS exported_at,
               max(c.charged_at) FILTER (WHERE c.view_id IS NOT NULL) OVER earlier
                 AS viewed_at
          FROM charges AS c
         CROSS JOIN LATERAL (VALUES (c.digest), (c.also_digest)) AS named (digest)
          LEFT JOIN jobs AS j ON j.id = c.job_id
          LEFT JOIN quotes AS q ON q.id = j.quote_id
         WHERE c.credits > 0 AND named.digest IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM refunds WHERE charge_id = c.id)
        WINDOW earlier AS (
          PARTITION BY c.license_id, c.item, c.subject, named.digest
          ORDER BY c.charged_at, c.id
          ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) AS paid
 WHERE exported_at >= free_since OR (views_count AND viewed_at >= free_since)
"""

_PAYERS_PAID = """
SELECT format('charge %s, the %s %s of %s, was free for charge %s, which %s', c.id,
              c.item, c.subject, c.license_id, c.paid_by,
              CASE WHEN p.id IS NULL THEN 'does not exist'
                   WHEN p.credits = 0 THEN 'did not pay'
                   ELSE 'paid for something else' END)
  FROM charges AS c LEFT JOIN charges AS p ON p.id = c.paid_by
 WHERE c.paid_by IS NOT NULL
   AND (p.license_id, p.item, holdfast_trimmed(p.subject), p.credits > 0)
       IS DISTINCT FROM (c.license_id, c.item, holdfast_trimmed(c.subject), true)
"""

_ENTITLEMENTS_ARE_THEIR_LINES = f"""
SELECT format('%s %s of %s%s: exported %s by %s, viewed %s by %s, also paid by %s; '
              'its lines say %s by %s, %s by %s, paid by %s', item, subject, license_id,
              CASE WHEN digest = '' THEN '' ELSE ' as ' || digest END,
              e.exported_at, e.exported_by, e.viewed_at, e.viewed_by, e.former_payers,
              s.exported_at, s.exported_by, s.viewed_at, s.viewed_by, s.payers)
  FROM entitlements AS e
  FULL JOIN ({entitlements.of_charges("charges")}) AS s
 USING (license_id, item, subject, digest)
 WHERE (e.exported_at, e.exported_by, e.viewed_at, e.viewed_by)
       IS DISTINCT FROM (s.exported_at, s.exported_by, s.viewed_at, s.viewed_by)
    OR NOT s.payers <@ (e.former_payers || ARRAY[e.exported_by, e.viewed_by])
"""  # noqa: S608 - a constant

_DELIVERED = """
SELECT job_id, 'company' AS item, company_id AS subject FROM outcomes
 WHERE outcome = 'delivered'
UNION ALL
SELECT job_id, 'email', person_id FROM outcomes WHERE email_found
UNION ALL
SELECT job_id, 'phone', person_id FROM outcomes WHERE phone_found
"""

_DELIVERED_HAS_A_LINE = f"""
SELECT format('job %s: the %s of %s was delivered without a line',
              job_id, item, subject)
  FROM (({_DELIVERED}) EXCEPT SELECT job_id, item, subject FROM charges
        EXCEPT SELECT job_id, item, subject FROM unchanged_claims) AS missing
"""  # noqa: S608 - a constant

_LINE_WAS_DELIVERED = f"""
SELECT format('job %s has a line for the %s of %s, which no record delivered',
              job_id, item, subject)
  FROM (SELECT c.job_id, c.item, c.subject
          FROM charges AS c JOIN jobs AS j ON j.id = c.job_id
         WHERE j.kind = 'export'
        EXCEPT ({_DELIVERED})) AS surplus
"""  # noqa: S608 - a constant

_CHUNKS_COVER_THE_JOB = """
SELECT format('job %s: %s records, its chunks hold %s; %s open chunks, counted %s',
              j.id, j.records, c.records, j.open_chunks, c.open),
       concat_ws(' ', j.id, j.records - c.records, j.open_chunks - c.open)
  FROM jobs AS j
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(stop - first), 0) AS records,
              count(*) FILTER (WHERE state NOT IN ('done', 'cancelled')) AS open
         FROM chunks WHERE job_id = j.id) AS c
 WHERE (j.records, j.open_chunks) IS DISTINCT FROM (c.records, c.open)
"""

_OUTCOMES_ADD_UP = """
SELECT format('job %s (%s): %s records; its chunks count %s delivered, %s excluded, '
              '%s rejected, its outcomes %s, %s, %s', j.id, j.state, j.records,
              c.delivered, c.excluded, c.rejected, o.delivered, o.excluded, o.rejected),
       concat_ws(' ', j.id, c.delivered - o.delivered, c.excluded - o.excluded,
                 c.rejected - o.rejected)
  FROM jobs AS j
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(delivered), 0) AS delivered,
              coalesce(sum(excluded), 0) AS excluded,
              coalesce(sum(rejected), 0) AS rejected
         FROM chunks WHERE job_id = j.id) AS c
 CROSS JOIN LATERAL (
       SELECT count(*) FILTER (WHERE outcome = 'delivered') AS delivered,
              count(*) FILTER (WHERE outcome = 'excluded') AS excluded,
              count(*) FILTER (WHERE outcome = 'rejected') AS rejected
         FROM outcomes WHERE job_id = j.id) AS o
 WHERE (c.delivered, c.excluded, c.rejected)
       IS DISTINCT FROM (o.delivered, o.excluded, o.rejected)
    OR (j.state IN ('succeeded', 'partial')
        AND j.records <> c.delivered + c.excluded + c.rejected)
    OR (j.state = 'succeeded' AND c.rejected > 0)
"""

_PARTS_HOLD_WHAT_WAS_DELIVERED = """
SELECT format('job %s: %s records delivered, %s in its parts', j.id, c.delivered,
              p.records),
       concat_ws(' ', j.id, c.delivered - p.records)
  FROM jobs AS j
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(delivered), 0) AS delivered FROM chunks
        WHERE job_id = j.id) AS c
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(records), 0) AS records FROM parts
        WHERE job_id = j.id) AS p
 WHERE j.kind = 'export' AND c.delivered <> p.records
"""

_ENDED_IS_CLOSED = """
SELECT format('job %s is %s, its reservation %s', j.id, j.state, r.state)
  FROM jobs AS j JOIN reservations AS r ON r.job_id = j.id
 WHERE (j.finished_at IS NOT NULL) <> (r.state = 'closed')
"""

_NOTHING_IS_LEFT_OPEN = """
SELECT format('job %s has ended, and %s of its %s are left open', j.id, count(*), what)
  FROM (SELECT job_id, 'intents' AS what FROM intents
        UNION ALL SELECT job_id, 'intents' FROM intent_batches
        UNION ALL SELECT job_id, 'unchanged claims' FROM unchanged_claims) AS open
  JOIN jobs AS j ON j.id = open.job_id
 WHERE j.finished_at IS NOT NULL
 GROUP BY j.id, what
"""

# What the last run left spent is what tells that another one is due.
_STATEMENTS_ARE_TRANSFERS = """
SELECT format('run %s of the statement of %s, period %s, leaves %s spent and %s '
              'expired of %s granted; its transfers say %s, %s and %s, the period %s',
              s.run, s.license_id, s.period_id, s.spent, s.expired, s.spent + s.expired,
              t.spent, t.expired, t.granted, p.stated_spent)
  FROM statements AS s JOIN periods AS p ON p.id = s.period_id
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(credits) FILTER (WHERE kind = 'grant'), 0) AS granted,
              coalesce(sum(CASE kind WHEN 'refund' THEN -credits ELSE credits END)
                       FILTER (WHERE kind IN ('settle', 'view', 'refund')), 0) AS spent,
              coalesce(sum(CASE kind WHEN 'reopen' THEN -credits ELSE credits END)
                       FILTER (WHERE kind IN ('expire', 'reopen')), 0) AS expired
         FROM transfers
        WHERE period_id = s.period_id AND transaction_id < s.until) AS t
 WHERE (s.spent, s.expired, s.spent + s.expired, true)
       IS DISTINCT FROM (t.spent, t.expired, t.granted, p.closed_at IS NOT NULL)
    OR (p.stated_spent IS DISTINCT FROM s.spent
        AND NOT EXISTS (SELECT FROM statements AS later
                         WHERE later.period_id = s.period_id AND later.run > s.run))
"""

_NOTES_ARE_THEIR_REFUNDS = """
SELECT format('credit note %s of %s (%s) gives back %s, its refunds are %s', n.id,
              n.license_id, n.state, n.credits, r.credits),
       concat_ws(' ', n.id, n.credits - r.credits, r.strange)
  FROM credit_notes AS n
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(r.credits), 0) AS credits,
              count(*) FILTER (WHERE each.charge_id IS NULL
                               OR r.license_id <> n.license_id) AS strange
         FROM refunds AS r
         LEFT JOIN credit_note_charges AS each
           ON each.credit_note_id = n.id AND each.charge_id = r.charge_id
        WHERE r.credit_note_id = n.id) AS r
 WHERE r.credits <> CASE n.state WHEN 'booked' THEN n.credits ELSE 0 END
    OR r.strange > 0
"""

_NUMBERS_HAVE_NO_GAPS = """
SELECT format('%s has %s numbered credit notes, up to %s; the last that was given is '
              '%s', license_id, n.booked, n.highest, coalesce(given.last, 0)),
       concat_ws(' ', license_id, n.highest - n.booked, given.last - n.highest)
  FROM (SELECT license_id, count(*) AS booked, max(number) AS highest
          FROM credit_notes WHERE state = 'booked' GROUP BY license_id) AS n
  FULL JOIN credit_note_numbers AS given USING (license_id)
 WHERE (n.booked, n.highest) IS DISTINCT FROM (given.last, given.last)
"""

_ALLOWANCES_ARE_THEIR_NOTES = """
SELECT format('%s on %s: %s credits were counted for "%s", whose notes gave back %s',
              license_id, day, a.credits, counted_as, n.credits)
  FROM refund_allowances AS a
  FULL JOIN (SELECT license_id, counted_as COLLATE "C" AS counted_as,
                    CAST(created_at AT TIME ZONE 'UTC' AS date) AS day,
                    sum(credits) AS credits
               FROM credit_notes WHERE counted_as IS NOT NULL
              GROUP BY 1, 2, 3) AS n
 USING (license_id, counted_as, day)
 WHERE a.credits IS DISTINCT FROM n.credits
"""

CHECKS: dict[str, str] = {
    "period_counters_are_account_balances": _COUNTERS_ARE_ACCOUNTS,
    "spent_is_settled_less_refunded": _SPENT_IS_SETTLED,
    "reservation_is_its_charges": _RESERVATION_IS_ITS_CHARGES,
    "one_payer_a_window": _ONE_PAYER_A_WINDOW,
    "payers_paid": _PAYERS_PAID,
    "credit_notes_are_their_refunds": _NOTES_ARE_THEIR_REFUNDS,
    "credit_note_numbers_have_no_gaps": _NUMBERS_HAVE_NO_GAPS,
    "refund_allowances_are_their_notes": _ALLOWANCES_ARE_THEIR_NOTES,
    "entitlements_are_their_lines": _ENTITLEMENTS_ARE_THEIR_LINES,
    "delivered_has_a_line": _DELIVERED_HAS_A_LINE,
    "line_was_delivered": _LINE_WAS_DELIVERED,
    "chunks_cover_the_job": _CHUNKS_COVER_THE_JOB,
    "outcomes_add_up": _OUTCOMES_ADD_UP,
    "parts_hold_what_was_delivered": _PARTS_HOLD_WHAT_WAS_DELIVERED,
    "ended_is_closed": _ENDED_IS_CLOSED,
    "nothing_is_left_open": _NOTHING_IS_LEFT_OPEN,
    "frozen_statements_are_their_transfers": _STATEMENTS_ARE_TRANSFERS,
}


def run(connection: Connection, *, limit: int = 100) -> list[Violation]:
    """All violations of all checks, at most `limit` of each, from one snapshot.

    The transaction must be new: its isolation is raised here.
    """
    connection.execute(
        text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    )
    return find(connection, limit=limit).violations


def find(
    connection: Connection, *, limit: int = 100, known: Collection[str] = ()
) -> Found:
    """What the checks find in this transaction's snapshot.

    At most `limit` of each, besides those of the digests `known`: what is known must
    not hide what is new behind it.
    """
    found = Found([], [])
    for check, query in CHECKS.items():
        fresh = 0
        rows = connection.execute(
            text(query).columns(), execution_options={"stream_results": True}
        )
        for row in rows:
            violation = Violation(check, row[0], row[-1])
            if violation.digest not in known:
                fresh += 1
            if fresh > limit:
                found.cut.append(check)
                break
            found.violations.append(violation)
        rows.close()
    return found
