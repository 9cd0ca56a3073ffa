"""Counters that all processes share: each adds what it has counted since it last did.

They are for watching, not for money: a process that is killed has not said its last
seconds. A row is a number; what was never counted has none.
"""

import json
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, text

Sample = tuple[str, tuple[str, ...]]
"""A number's name and the values of its labels."""

# In one order, so that two that add at once wait and do not lock each other out. That
# it has reached the disk is not waited for: after a crash of the server a moment is
# missing, and nothing else.
_ADD = text("""
INSERT INTO counters AS c (name, labels, value)
SELECT each ->> 0, each -> 1, CAST(each ->> 2 AS double precision)
  FROM (SELECT set_config('synchronous_commit', 'off', true)) AS lazily,
       jsonb_array_elements(CAST(:counted AS jsonb)) AS each
 ORDER BY (each ->> 0) COLLATE "C", each -> 1
ON CONFLICT (name, labels) DO UPDATE
   SET value = c.value + excluded.value
""")


def add(connection: Connection, counted: Mapping[Sample, float]) -> None:
    """Add what was counted. It is one statement, and needs no transaction."""
    rows = [[name, labels, number] for (name, labels), number in counted.items()]
    if rows:
        connection.execute(_ADD, {"counted": json.dumps(rows)})


def read(
    connection: Connection, names: Iterable[str] | None = None
) -> dict[Sample, float]:
    """All numbers, or those of these names."""
    rows = connection.execute(
        text("""
            SELECT name, labels, value FROM counters
             WHERE :all OR name = ANY (CAST(:names AS text[]))
             ORDER BY name, labels"""),
        {"all": names is None, "names": list(names or ())},
    )
    return {(row.name, tuple(row.labels)): row.value for row in rows}
