"""Balance alerts: thresholds of licenses, each told once a period.

Settling does not look at them: a chore does, by one statement for all licenses that
have any.
"""

from collections.abc import Collection
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.licenses import notifications
from storage.webhooks import events
from storage.webhooks.events import EventType


class AlertKind(StrEnum):
    """What a threshold is of."""

    USED_PERCENT = "used_percent"
    """Of what the period was granted, spent; told where it is as much or more."""
    CREDITS_LEFT = "credits_left"
    """Credits available; told where it is as few or fewer."""


class Alert(NamedTuple):
    """A threshold of a license."""

    kind: AlertKind
    threshold: int


def of_license(connection: Connection, license_id: str) -> list[Alert]:
    """The thresholds of a license."""
    rows = connection.execute(
        text("""
            SELECT kind, threshold FROM balance_alerts
             WHERE license_id = :license_id ORDER BY kind, threshold"""),
        {"license_id": license_id},
    )
    return [Alert(AlertKind(kind), threshold) for kind, threshold in rows]


def replace(connection: Connection, license_id: str, alerts: Collection[Alert]) -> None:
    """Let a license have these thresholds and no others.

    What was told in a period is not told again in it, whatever is set meanwhile.
    """
    connection.execute(
        text("DELETE FROM balance_alerts WHERE license_id = :license_id"),
        {"license_id": license_id},
    )
    connection.execute(
        text("""
            INSERT INTO balance_alerts (license_id, kind, threshold)
            SELECT :license_id, kind, threshold
              FROM unnest(CAST(:kinds AS text[]), CAST(:thresholds AS bigint[]))
                AS asked (kind, threshold)
            ON CONFLICT DO NOTHING"""),
        {
            "license_id": license_id,
            "kinds": [alert.kind.value for alert in alerts],
            "thresholds": [alert.threshold for alert in alerts],
        },
    )


# One that another has just told is left out: the row that says so is there.
_PASSED = text("""
WITH running AS MATERIALIZED (
  SELECT license_id, holdfast_running_period(license_id) AS period_id
    FROM (SELECT DISTINCT license_id FROM balance_alerts) AS watched),
balance AS MATERIALIZED (
  SELECT p.license_id, p.id AS period_id, p.starts_at, p.ends_at, p.granted,
         p.granted - p.reserved - p.spent - p.expired AS available,
         p.spent + open.settled AS spent
    FROM running JOIN periods AS p ON p.id = running.period_id
   CROSS JOIN LATERAL (
         SELECT coalesce(sum(settled), 0)::bigint AS settled FROM reservations
          WHERE period_id = p.id AND state = 'open') AS open),
told AS (
  INSERT INTO balance_alerts_told (license_id, period_id, kind, threshold)
  SELECT a.license_id, b.period_id, a.kind, a.threshold
    FROM balance_alerts AS a JOIN balance AS b USING (license_id)
   WHERE CASE a.kind
         WHEN 'used_percent' THEN b.granted > 0
           AND CAST(b.spent AS numeric) * 100 >= a.threshold * b.granted
         ELSE b.available <= a.threshold END
   ORDER BY a.license_id, a.kind, a.threshold
  ON CONFLICT DO NOTHING
  RETURNING license_id, period_id, kind, threshold)
SELECT told.kind, told.threshold, b.*
  FROM told JOIN balance AS b USING (license_id)
 ORDER BY license_id, kind, threshold
""")


class Passed(NamedTuple):
    """A threshold that a balance has passed, and the balance."""

    kind: str
    threshold: int
    license_id: str
    period_id: int
    starts_at: datetime
    ends_at: datetime
    granted: int
    available: int
    spent: int


def tell(connection: Connection) -> int:
    """Tell of all thresholds that were passed and not yet told; how many."""
    found = [Passed(*row) for row in connection.execute(_PASSED)]
    for passed in found:
        _tell(connection, passed)
    return len(found)


def _tell(connection: Connection, passed: Passed) -> None:
    data = {
        "license": passed.license_id,
        "starts_at": _instant(passed.starts_at),
        "ends_at": _instant(passed.ends_at),
        "kind": passed.kind,
        "threshold": passed.threshold,
        "granted": passed.granted,
        "spent": passed.spent,
        "available": passed.available,
    }
    subject = f"{passed.period_id}:{passed.kind}:{passed.threshold}"
    events.put(
        connection, passed.license_id, EventType.BALANCE_THRESHOLD, subject, data
    )
    notifications.put(
        connection, passed.license_id, None, "balance_threshold", _words(passed)
    )


def _words(passed: Passed) -> str:
    if passed.kind == AlertKind.USED_PERCENT:
        return (
            f"{passed.threshold} % of the credits are used: {passed.spent} of "
            f"{passed.granted}, {passed.available} are available"
        )
    return f"{passed.available} credits are left of {passed.granted}"


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
