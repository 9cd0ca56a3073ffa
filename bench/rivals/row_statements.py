"""What one writes first, record by record: objects, JSON, one upsert that decides.

The shape and the price are those that the product's own statements had when the targets
were set, and they stay: what the product learns since is in the other variant.
"""

import json
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, text

from bench.installations.contacts import COMPANY_PRICE, EMAIL_PRICE, PHONE_PRICE
from bench.rivals.product import Row
from pricing.claims import KNOWN
from pricing.findings import Finding
from storage.findings import directory
from storage.ledger.settlement import Payer


class _Claim(NamedTuple):
    item: str
    subject: str
    credits: int
    provider: str | None = None


class _Ended(NamedTuple):
    record: int
    company_id: str
    person_id: str
    outcome: str
    email_found: bool
    phone_found: bool


_SETTLE = text("""
WITH moment AS MATERIALIZED (SELECT holdfast_now() AS at),
claim AS MATERIALIZED (
  SELECT item, subject, CAST(credits AS integer) AS credits, provider,
         nextval('charges_id_seq') AS charge_id
    FROM ROWS FROM (json_array_elements_text(CAST(:items AS json)),
                    json_array_elements_text(CAST(:subjects AS json)),
                    json_array_elements_text(CAST(:credits AS json)),
                    json_array_elements_text(CAST(:providers AS json)))
         AS asked (item, subject, credits, provider)),
entitled AS (
  INSERT INTO entitlements AS e
         (license_id, item, subject, digest, settled_as, exported_at, exported_by)
  SELECT :license_id, item, subject, :digest, charge_id, at, charge_id
    FROM claim, moment ORDER BY item COLLATE "C", subject COLLATE "C"
  ON CONFLICT (license_id, item, subject, digest) DO UPDATE
     SET settled_as = excluded.settled_as, exported_at = excluded.exported_at,
         exported_by = excluded.exported_by
   WHERE e.exported_at IS NULL OR e.exported_at < :cut
  RETURNING settled_as),
charged AS (
  INSERT INTO charges (id, license_id, period_id, reservation_id, job_id, user_id, item,
                       subject, digest, credits, rule, charged_at, provider)
  SELECT charge_id, :license_id, :period_id, :reservation_id, :job_id, :user_id, item,
         subject, :digest, credits, 'price', at, provider
    FROM moment, claim JOIN entitled ON settled_as = charge_id
  RETURNING credits),
bill AS (SELECT coalesce(sum(credits), 0) AS credits FROM charged),
settled AS (
  UPDATE reservations AS r SET settled = r.settled + bill.credits
    FROM bill WHERE r.id = :reservation_id AND r.state = 'open'
  RETURNING bill.credits)
INSERT INTO transfers (license_id, period_id, reservation_id, kind, from_account,
                       to_account, credits)
SELECT :license_id, :period_id, :reservation_id, 'settle', 'reservation', 'spent',
       credits
  FROM settled WHERE credits > 0
""")

_RECORD = text("""
INSERT INTO record_outcomes (job_id, license_id, record, company_id, person_id, outcome,
                      email_found, phone_found)
SELECT :job_id, :license_id, (o ->> 0)::integer, o ->> 1, o ->> 2, o ->> 3,
       (o ->> 4)::boolean, (o ->> 5)::boolean
  FROM json_array_elements(CAST(:outcomes AS json)) AS o
""")


def settle_rows(
    connection: Connection,
    payer: Payer,
    batch: Iterable[tuple[int, Row, Finding | None]],
) -> None:
    """Settle and record numbered contacts with an object for each thing of each."""
    claims: dict[tuple[str, str], _Claim] = {}
    ended: list[_Ended] = []
    for number, row, found in batch:
        company, person = row[0], row[3]
        email, phone = bool(found and found.email), bool(found and found.phone)
        due = [_Claim("company", company, COMPANY_PRICE)]
        if email:
            due.append(_Claim("email", person, EMAIL_PRICE, directory.NAME))
        if phone:
            due.append(_Claim("phone", person, PHONE_PRICE, directory.NAME))
        for claim in due:
            claims.setdefault((claim.item, claim.subject), claim)
        ended.append(_Ended(number, company, person, "delivered", email, phone))
    _settle(connection, payer, list(claims.values()))
    whose = {"job_id": payer.job_id, "license_id": payer.license_id}
    connection.execute(_RECORD, whose | {"outcomes": json.dumps(ended)})


def _settle(connection: Connection, payer: Payer, claims: list[_Claim]) -> None:
    values = {
        "license_id": payer.license_id,
        "period_id": payer.period_id,
        "reservation_id": payer.reservation_id,
        "job_id": payer.job_id,
        "user_id": payer.user_id,
        "cut": payer.cut,
        "digest": KNOWN,
        "items": json.dumps([claim.item for claim in claims]),
        "subjects": json.dumps([claim.subject for claim in claims]),
        "credits": json.dumps([claim.credits for claim in claims]),
        "providers": json.dumps([claim.provider for claim in claims]),
    }
    connection.execute(_SETTLE, values)
