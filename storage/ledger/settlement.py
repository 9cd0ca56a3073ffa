"""Settlement: a batch's delivered claims become charges, in one statement.

`pricing.settlement` is the rule, this applies it. Every movement of credits is a
transfer between two accounts of a period (outside, available, spent, expired, and one
for each reservation). Settling touches the reservation alone; the period's counters
move at reserve, at release, and by what has no reservation. Locks are taken in one
order: entitlements (sorted), reservation, period. Functions take an open connection
and never commit.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from storage.array_literals import array
from storage.errors import Conflict, Superseded, is_violation
from storage.ledger.claims import NO_CLAIMS, Claim, ClaimColumns


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """For whom a batch settles, and since when something paid still frees it."""

    license_id: str
    period_id: int
    reservation_id: int
    job_id: str
    user_id: str
    cut: datetime
    views_count: bool


# Nearly all that a batch claims of persons is of ids that are new to the license. What
# comes behind the last claim of one that is not goes in as it is, under both digests
# where it has two: the key is still the judge, and where another transaction was
# faster at one of them, which this snapshot does not show, the batch is settled again
# in one that does. Companies are shared by neighbouring batches: theirs go in with ON
# CONFLICT, and so do all claims up to the last one of something known, or all where
# ids come under several digests. Everybody thus locks in one sorted sequence, whatever
# their snapshots show: if new and known were told apart one by one, two could wait for
# each other. The counts keep that order: of the others, of what is new, of its lines.
#
# What a known claim stands on is decided inside DO UPDATE under the row's lock, never
# from an earlier read: the charge that its row names where that is recent enough, else
# its own, so the id of each possible charge is drawn before. The row also names the
# charge that it was last settled as, and where that is not ours the claim has its line
# in this job already: then the row is left alone. Looking lines up is left to claims
# that come back, and writing one needs no ON CONFLICT: both would cost a fifth of the
# speed, and the key stands behind them. OFFSET 0 has it looked up once. A claim under
# two digests takes two rows, which come to differ where only one of them knew a payer:
# such lines are returned, to be made even, and so are rows that were made for no line.
#
# The series says that there are many claims: of arrays alone the planner expects ten,
# and would compare each claim with every row.
_SETTLE = text("""
WITH moment AS MATERIALIZED (SELECT holdfast_now() AS at),
claim AS MATERIALIZED (
  SELECT asked.*, nextval('charges_id_seq') AS charge_id
    FROM (SELECT item, subject,
                 CASE WHEN :spaced THEN holdfast_trimmed(subject) ELSE subject END
                   AS id, digest, also, credits, provider
            FROM ROWS FROM (unnest(CAST(:items AS text[])),
                            unnest(CAST(:subjects AS text[])),
                            unnest(CAST(:digests AS text[])),
                            unnest(CAST(:credits AS integer[])),
                            unnest(CAST(:also AS text[])),
                            unnest(CAST(:providers AS text[])),
                            generate_series(1, :count))
                 AS each (item, subject, digest, credits, also, provider, place)
           ORDER BY item COLLATE "C", subject COLLATE "C", digest COLLATE "C")
         AS asked),
known AS MATERIALIZED (
  SELECT coalesce((
    SELECT charge_id
      FROM (SELECT * FROM claim ORDER BY charge_id DESC OFFSET 0) AS c
     WHERE :one_by_one OR item = 'company'
        OR (SELECT true FROM entitlements AS e
             WHERE e.license_id = :license_id AND e.item = c.item COLLATE "C"
               AND e.subject = c.subject COLLATE "C"
             LIMIT 1)
     LIMIT 1), 0) AS last),
entitled AS (
  INSERT INTO entitlements AS e
         (license_id, item, subject, digest, settled_as, exported_at, exported_by)
  SELECT :license_id, item, id, asked.digest, charge_id,
         CASE WHEN credits > 0 THEN at END, CASE WHEN credits > 0 THEN charge_id END
    FROM moment, (SELECT item, id, digest, charge_id, credits FROM claim, known
                   WHERE charge_id <= last
                  UNION ALL
                  SELECT item, id, also, charge_id, credits FROM claim, known
                   WHERE charge_id <= last AND also IS NOT NULL) AS asked
   ORDER BY item COLLATE "C", id COLLATE "C", asked.digest COLLATE "C"
  ON CONFLICT (license_id, item, subject, digest) DO UPDATE SET
    (settled_as, exported_at, exported_by, former_payers) = (
      SELECT CASE WHEN stands.is_there THEN e.settled_as ELSE excluded.settled_as END,
             CASE WHEN stands.is_renewed
                  THEN greatest((SELECT at FROM moment),
                                e.exported_at + interval '1 microsecond',
                                e.viewed_at + interval '1 microsecond')
                  ELSE e.exported_at END,
             CASE WHEN stands.is_renewed THEN stands.on_charge
                  ELSE e.exported_by END,
             CASE WHEN stands.is_renewed AND e.exported_by <> stands.on_charge
                   AND e.exported_by IS DISTINCT FROM e.viewed_by
                  THEN array_append(array_remove(e.former_payers, e.exported_by),
                                    e.exported_by)
                  ELSE e.former_payers END
        FROM (SELECT found.*, NOT is_there AND on_charge IS NOT NULL AS is_renewed
                FROM (SELECT NOT :spaced AND EXISTS (
                        SELECT 1 FROM charges AS c
                         WHERE c.job_id = :job_id AND c.item = excluded.item
                           AND c.subject = excluded.subject
                           AND c.digest = excluded.digest)
                      OR excluded.digest <> '' AND NOT :spaced AND EXISTS (
                        SELECT 1 FROM charges AS c
                         WHERE c.job_id = :job_id AND c.item = excluded.item
                           AND c.subject = excluded.subject
                           AND c.digest = '') AS is_there,
                      CASE WHEN e.exported_at >= :cut THEN e.exported_by
                           WHEN :views_count AND e.viewed_at >= :cut THEN e.viewed_by
                           ELSE excluded.exported_by END AS on_charge
                      OFFSET 0) AS found)
             AS stands)
  RETURNING digest, settled_as, exported_at, exported_by,
            CASE WHEN exported_by = settled_as OR exported_at >= :cut
                 THEN exported_by END AS stands_on),
entitled_anew AS (
  INSERT INTO entitlements
         (license_id, item, subject, digest, settled_as, exported_at, exported_by)
  SELECT :license_id, item, id, asked.digest, charge_id,
         CASE WHEN credits > 0 THEN at END, CASE WHEN credits > 0 THEN charge_id END
    FROM moment, (SELECT count(*) FROM entitled) AS and_then,
         (SELECT item, id, digest, charge_id, credits FROM claim, known
           WHERE charge_id > last
          UNION ALL
          SELECT item, id, also, charge_id, credits FROM claim, known
           WHERE charge_id > last AND also IS NOT NULL) AS asked
   ORDER BY charge_id, asked.digest COLLATE "C"
  RETURNING true),
line AS (
  SELECT claim.*, other.digest AS also_digest,
         CASE WHEN one.stands_on IS DISTINCT FROM charge_id THEN
                coalesce(one.stands_on, other.stands_on)
              ELSE coalesce(other.stands_on, charge_id) END AS stands_on,
         greatest(CASE WHEN one.stands_on IS NOT NULL THEN one.exported_at END,
                  CASE WHEN other.stands_on IS NOT NULL THEN other.exported_at END)
           AS at,
         other.digest IS NOT NULL AND (one.stands_on, one.exported_at)
           IS DISTINCT FROM (other.stands_on, other.exported_at) AS is_uneven
    FROM claim
    JOIN entitled AS one
      ON one.settled_as = charge_id AND one.digest = claim.digest
    LEFT JOIN entitled AS other
      ON other.settled_as = charge_id AND other.digest = claim.also),
charged AS (
  INSERT INTO charges (id, license_id, period_id, reservation_id, job_id, user_id,
                       item, subject, digest, credits, rule, paid_by, charged_at,
                       provider, also_digest)
  SELECT charge_id, :license_id, :period_id, :reservation_id, :job_id, :user_id,
         item, subject, digest,
         CASE WHEN stands_on = charge_id THEN credits ELSE 0 END,
         CASE WHEN credits = 0 THEN 'free_as_quoted'
              WHEN stands_on = charge_id THEN 'price'
              ELSE 'paid_meanwhile' END,
         nullif(stands_on, charge_id), coalesce(line.at, moment.at), provider,
         also_digest
    FROM moment, line
  UNION ALL
  SELECT charge_id, :license_id, :period_id, :reservation_id, :job_id, :user_id,
         item, subject, digest, credits,
         CASE WHEN credits = 0 THEN 'free_as_quoted' ELSE 'price' END,
         NULL, at, provider, also
    FROM moment, known, claim, (SELECT count(*) FROM entitled_anew) AS and_then
   WHERE charge_id > last
  RETURNING credits),
bill AS (SELECT coalesce(sum(credits), 0) AS credits FROM charged),
settled AS (
  UPDATE reservations AS r
     SET settled = r.settled + bill.credits,
         deadline_at = greatest(
           r.deadline_at, holdfast_now() + make_interval(secs => r.lifetime_s))
    FROM bill
   WHERE r.id = :reservation_id AND r.state = 'open'
  RETURNING bill.credits),
moved AS (
  INSERT INTO transfers (license_id, period_id, reservation_id, kind,
                         from_account, to_account, credits)
  SELECT :license_id, :period_id, :reservation_id, 'settle',
         'reservation', 'spent', credits
    FROM settled WHERE credits > 0)
SELECT credits, (SELECT array_agg(charge_id) FROM line WHERE is_uneven) AS uneven,
       (SELECT json_agg(json_build_array(claim.item, claim.id, claim.also))
          FROM claim JOIN entitled AS other
            ON other.settled_as = charge_id AND other.digest = claim.also
         WHERE NOT EXISTS (SELECT 1 FROM line WHERE line.charge_id = claim.charge_id))
         AS surplus
  FROM settled
""")

# A batch before has settled the id with what it was looked up by there: that decides.
_TAKE_BACK = text("""
DELETE FROM entitlements AS e USING json_array_elements(CAST(:surplus AS json)) AS made
 WHERE e.license_id = :license_id AND e.item = (made ->> 0) COLLATE "C"
   AND e.subject = (made ->> 1) COLLATE "C" AND e.digest = (made ->> 2) COLLATE "C"
""")

# Where only one of two digests knew a payer, both go on with the line that came of it.
_MAKE_EVEN = text("""
UPDATE entitlements AS e
   SET exported_at = line.at, exported_by = line.stands_on,
       former_payers = CASE WHEN e.exported_by IN (line.id, line.stands_on)
                            THEN e.former_payers
                            ELSE array_append(
                              array_remove(e.former_payers, e.exported_by),
                              e.exported_by) END
  FROM (SELECT id, license_id, item, holdfast_trimmed(subject) AS subject, digest,
               also_digest, charged_at AS at, coalesce(paid_by, id) AS stands_on
          FROM charges
         WHERE id = ANY (:uneven) AND (paid_by IS NOT NULL OR credits > 0)) AS line
 WHERE e.license_id = line.license_id AND e.item = line.item
   AND e.subject = line.subject AND e.digest IN (line.digest, line.also_digest)
   AND (e.exported_by, e.exported_at) IS DISTINCT FROM (line.stands_on, line.at)
""")

_HAS_ITS_LINE = text("""
SELECT asked.place - 1
  FROM unnest(CAST(:items AS text[]), CAST(:subjects AS text[]),
              CAST(:digests AS text[])) WITH ORDINALITY
         AS asked (item, subject, digest, place)
  JOIN charges AS c ON c.job_id = :job_id AND c.item = asked.item COLLATE "C"
   AND c.subject = asked.subject COLLATE "C" AND c.digest = asked.digest COLLATE "C"
""")

_NOTE_UNCHANGED = text("""
INSERT INTO unchanged_claims (job_id, item, subject, digest)
SELECT :job_id, item, subject, digest
  FROM unnest(CAST(:items AS text[]), CAST(:subjects AS text[]),
              CAST(:digests AS text[])) AS asked (item, subject, digest)
 ORDER BY item COLLATE "C", subject COLLATE "C", digest COLLATE "C"
ON CONFLICT (job_id, item, subject, digest) DO NOTHING
""")

_JUDGES = ("charges_job_id_item_subject_digest_key", "entitlements_pkey")
"""The keys that tell of two batches that settle the same at one moment."""


def settle(connection: Connection, payer: Payer, claims: Sequence[Claim]) -> int:
    """Charge a batch of delivered claims in one statement; return its credits.

    As `settle_columns`, of claims one by one.
    """
    return settle_columns(
        connection,
        payer,
        ClaimColumns.of([claim for claim in claims if not claim.unchanged]),
        ClaimColumns.of([claim for claim in claims if claim.unchanged]),
    )


def settle_columns(
    connection: Connection,
    payer: Payer,
    claims: ClaimColumns,
    unchanged: ClaimColumns = NO_CLAIMS,
) -> int:
    """Charge a batch of delivered claims in one statement; return its credits.

    Repeating it charges nothing: a claim has one line in a job. Those that are
    `unchanged` are noted: `close` gives them their lines, for a later batch may send
    what this one did not have to. Raises `Superseded` where the reservation is closed,
    and `Conflict` where another batch settled the same subject at this moment.
    """
    distinct = claims.distinct()
    if [subject.strip() for subject in distinct.subjects] != list(distinct.subjects):
        credits_ = _settle_spaced(connection, payer, distinct)
    else:
        credits_ = _settle(connection, payer, distinct)
    if unchanged:
        noted = {"job_id": payer.job_id} | _keys(unchanged.distinct())
        connection.execute(_NOTE_UNCHANGED, noted)
    return credits_


def _settle(
    connection: Connection,
    payer: Payer,
    claims: ClaimColumns,
    *,
    spaced: bool = False,
) -> int:
    parameters = {
        "license_id": payer.license_id,
        "period_id": payer.period_id,
        "reservation_id": payer.reservation_id,
        "job_id": payer.job_id,
        "user_id": payer.user_id,
        "cut": payer.cut,
        "views_count": payer.views_count,
        "spaced": spaced,
        "one_by_one": spaced or not claims.have_one_digest_each(),
        **_keys(claims),
        "credits": array(claims.credits),
        "also": array(claims.also),
        "providers": array(claims.providers),
        "count": len(claims),
    }
    try:
        settled = connection.execute(_SETTLE, parameters).one_or_none()
    except IntegrityError as error:
        if any(is_violation(error, key) for key in _JUDGES):
            raise Conflict("another batch settled the same") from error
        raise
    if settled is None:
        raise Superseded(f"the reservation of job {payer.job_id} is closed")
    if settled.uneven is not None:
        connection.execute(_MAKE_EVEN, {"uneven": settled.uneven})
    if settled.surplus is not None:
        surplus = json.dumps(settled.surplus)
        connection.execute(
            _TAKE_BACK, {"license_id": payer.license_id, "surplus": surplus}
        )
    return int(settled.credits)


def _keys(claims: ClaimColumns) -> dict[str, str]:
    return {
        "items": array(claims.items),
        "subjects": array(claims.subjects),
        "digests": array(claims.digests),
    }


def _settle_spaced(connection: Connection, payer: Payer, claims: ClaimColumns) -> int:
    """Settle ids that came with white space around them, as those of old quotes did.

    All spellings of an id have one entitlement, and each has a line of its own: of two
    in a batch the second is settled after the first. Which of them have their line is
    looked up before, by the spelling.
    """
    asked = {"job_id": payer.job_id} | _keys(claims)
    settled = set(connection.execute(_HAS_ITS_LINE, asked).scalars())
    waiting = sorted(
        set(range(len(claims))) - settled,
        key=lambda at: (claims.items[at], claims.subjects[at], claims.digests[at]),
    )
    credits_ = 0
    while True:
        batch: dict[tuple[str, str], int] = {}
        for place in waiting:
            id_ = claims.items[place], claims.subjects[place].strip()
            batch.setdefault(id_, place)
        ours = set(batch.values())
        credits_ += _settle(connection, payer, claims.at(sorted(ours)), spaced=True)
        waiting = [place for place in waiting if place not in ours]
        if not waiting:
            return credits_
