"""What a license has already paid for, as a quote needs to know it."""

import json
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, text

from pricing.claims import Entitlement, Entitlements
from pricing.plans import Item

_PAID = text("""
SELECT e.item, e.subject, e.digest, e.exported_at, e.viewed_at
  FROM (SELECT 'company' AS item, json_array_elements_text(CAST(:companies AS json))
          AS subject
        UNION ALL
        SELECT item, subject
          FROM json_array_elements_text(CAST(:items AS json)) AS item,
               json_array_elements_text(CAST(:persons AS json)) AS subject) AS asked
  JOIN entitlements AS e
    ON e.license_id = :license_id AND e.item = asked.item COLLATE "C"
   AND e.subject = asked.subject COLLATE "C"
 WHERE e.paid_by IS NOT NULL AND (e.exported_at >= :cut OR e.viewed_at >= :cut)
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
            "companies": json.dumps(list(companies)),
            "persons": json.dumps(list(persons)),
            "items": json.dumps([item.value for item in items]),
        },
    )
    found: dict[tuple[Item, str], list[Entitlement]] = {}
    for item, subject, digest, exported_at, viewed_at in rows:
        found.setdefault((Item(item), subject), []).append(
            Entitlement(digest, exported_at, viewed_at),
        )
    return found
