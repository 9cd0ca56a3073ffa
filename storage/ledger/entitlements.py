"""Entitlements: what a license has paid for, and when it last used it.

An entitlement is a function of charges and refunds, one row for each license, item,
id and digest. A line stands on a charge: a paid one on itself, a free one on the one
that it names, for as long as that is not refunded; an unchanged line, and one that was
free for a payer that is gone, stand on nothing. The row holds the latest standing line
of a job and that of a view, each with the charge that it stands on. Settling and
viewing move it on, a refund computes it anew, and the audit holds it to the function.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from pricing.claims import Entitlement, Entitlements
from pricing.plans import Item
from storage.array_literals import array


def of_charges(charges: str) -> str:
    """The query for the entitlements that these `charges` make, a row for each."""
    return f"""
SELECT license_id, item, subject, digest,
       max(at) FILTER (WHERE NOT is_view) AS exported_at,
       (array_agg(stands_on ORDER BY at DESC, id DESC)
          FILTER (WHERE NOT is_view))[1] AS exported_by,
       max(at) FILTER (WHERE is_view) AS viewed_at,
       (array_agg(stands_on ORDER BY at DESC, id DESC)
          FILTER (WHERE is_view))[1] AS viewed_by,
       array_agg(DISTINCT stands_on) AS payers
  FROM (SELECT c.id, c.license_id, c.item, holdfast_trimmed(c.subject) AS subject,
               named.digest, c.charged_at AS at, c.view_id IS NOT NULL AS is_view,
               coalesce(c.paid_by, c.id) AS stands_on
          FROM {charges} AS c
         CROSS JOIN LATERAL (VALUES (c.digest), (c.also_digest)) AS named (digest)
          LEFT JOIN refunds AS r ON r.charge_id = coalesce(c.paid_by, c.id)
         WHERE named.digest IS NOT NULL AND r.charge_id IS NULL
           AND (c.credits > 0 OR c.paid_by IS NOT NULL)) AS line
 GROUP BY license_id, item, subject, digest"""  # noqa: S608 - constants only


_OF_CHARGES = """
SELECT DISTINCT license_id, item, holdfast_trimmed(subject) AS subject
  FROM charges WHERE id = ANY (CAST(:charge_ids AS bigint[]))
"""

_LOCK = text(f"""
SELECT e.digest FROM entitlements AS e
  JOIN ({_OF_CHARGES}) AS asked USING (license_id, item, subject)
 ORDER BY e.license_id, e.item, e.subject COLLATE "C", e.digest COLLATE "C"
   FOR NO KEY UPDATE OF e
""")  # noqa: S608 - a constant

_RECOMPUTE = text(f"""
WITH asked AS MATERIALIZED ({_OF_CHARGES}),
held AS MATERIALIZED (
  SELECT license_id, item, subject, digest,
         former_payers || ARRAY[exported_by, viewed_by] AS payers
    FROM entitlements JOIN asked USING (license_id, item, subject)),
payer AS MATERIALIZED (SELECT DISTINCT unnest(payers) AS id FROM held),
stands AS ({
    of_charges('''(
    SELECT c.* FROM payer JOIN charges AS c ON c.id = payer.id
    UNION ALL SELECT c.* FROM payer JOIN charges AS c ON c.paid_by = payer.id)''')
})
UPDATE entitlements AS e
   SET exported_at = s.exported_at, exported_by = s.exported_by,
       viewed_at = s.viewed_at, viewed_by = s.viewed_by,
       former_payers = nullif(array_remove(array_remove(
         s.payers, s.exported_by), s.viewed_by), '{{}}')
  FROM held LEFT JOIN stands AS s USING (license_id, item, subject, digest)
 WHERE e.license_id = held.license_id AND e.item = held.item
   AND e.subject = held.subject AND e.digest = held.digest
""")  # noqa: S608 - a constant


def lock_all_of(connection: Connection, charge_ids: Sequence[int]) -> None:
    """Hold all entitlements of the ids that these charges are for, whoever paid.

    Under every digest, for a line may stand on a charge under another. One that was
    made while this waited is seen by the next look.
    """
    held = -1
    while True:
        rows = connection.execute(_LOCK, {"charge_ids": list(charge_ids)})
        found = len(rows.all())
        if found == held:
            return
        held = found


def recompute(connection: Connection, charge_ids: Sequence[int]) -> None:
    """Bring the entitlements that `lock_all_of` holds to what stands by now."""
    connection.execute(_RECOMPUTE, {"charge_ids": list(charge_ids)})


# A license that has little is read as a whole, which costs next to nothing where it is
# new. One that has more than is asked for is asked for each subject: reading it would
# cost the more the longer it has been here, and the planner, which takes a license for
# one of many, would read it. OFFSET 0 keeps the two apart.
_PAID = text("""
WITH license AS MATERIALIZED (
  SELECT count(*) < :asked AS has_little
    FROM (SELECT FROM entitlements
           WHERE license_id = :license_id LIMIT :asked) AS one),
asked AS MATERIALIZED (
  SELECT 'company' AS item, unnest(CAST(:companies AS text[])) AS subject
  UNION ALL
  SELECT item, subject
    FROM unnest(CAST(:items AS text[])) AS item,
         unnest(CAST(:persons AS text[])) AS subject)
SELECT item, subject, digest, exported_at, viewed_at, exported_by, viewed_by
  FROM (SELECT e.*
          FROM asked JOIN entitlements AS e
            ON e.license_id = :license_id AND e.item = asked.item COLLATE "C"
           AND e.subject = asked.subject COLLATE "C"
         WHERE (SELECT has_little FROM license)
         UNION ALL
        SELECT e.*
          FROM asked CROSS JOIN LATERAL (
               SELECT * FROM entitlements
                WHERE license_id = :license_id AND item = asked.item COLLATE "C"
                  AND subject = asked.subject COLLATE "C" OFFSET 0) AS e
         WHERE NOT (SELECT has_little FROM license)) AS found
 WHERE exported_at >= :cut OR viewed_at >= :cut
""")


def paid(
    connection: Connection,
    license_id: str,
    cut: datetime,
    *,
    companies: Collection[str],
    persons: Collection[str],
    items: Collection[Item],
) -> Entitlements:
    """All that was paid for and used since `cut`, of these subjects, in one query."""
    rows = connection.execute(
        _PAID,
        {
            "license_id": license_id,
            "cut": cut,
            "asked": len(companies) + len(persons) * len(items),
            "companies": _trimmed(companies),
            "persons": _trimmed(persons),
            "items": array([item.value for item in items]),
        },
    )
    found: dict[tuple[Item, str], list[Entitlement]] = {}
    for item, subject, *entitlement in rows:
        found.setdefault((Item(item), subject), []).append(Entitlement(*entitlement))
    if found:
        # Records that were kept from before may spell an id with white space around it.
        for subject in (*companies, *persons):
            trimmed = subject.strip()
            if trimmed != subject:
                for item in Item:
                    if (item, trimmed) in found:
                        found[item, subject] = found[item, trimmed]
    return found


def _trimmed(ids: Collection[str]) -> str:
    return array(list(set(map(str.strip, ids))))
