"""Which transaction of the server holds sealing back: the oldest that may still write.

It need not be of this database, for a server numbers the transactions of all of them.
"""

from typing import NamedTuple

from sqlalchemy import Connection, text


class OldestTransaction(NamedTuple):
    """A transaction that has a number and has not ended; `pid` is None once prepared.

    `what` says of it what the server tells this role.
    """

    pid: int | None
    what: str
    age_s: float

    def __str__(self) -> str:
        """For operators: who it is, and how long it has been open."""
        return f"{self.what}, open for {self.age_s:,.0f} s"


# Numbers are compared by their age, for they wrap around.
_OLDEST = text("""
SELECT pid, what,
       CAST(extract(epoch FROM clock_timestamp() - began) AS double precision)
  FROM (SELECT pid, age(backend_xid) AS age, xact_start AS began,
               format('pid %s (database %s, user %s, %s, %s)', pid, datname, usename,
                      coalesce(nullif(application_name, ''), 'of no name'), state)
                 AS what
          FROM pg_stat_activity
         WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
        UNION ALL
        SELECT NULL, age(transaction), prepared,
               format('the prepared transaction %s (database %s, user %s)', gid,
                      database, owner)
          FROM pg_prepared_xacts) AS open
 WHERE began IS NOT NULL
 ORDER BY age DESC LIMIT 1
""")


def oldest(connection: Connection) -> OldestTransaction | None:
    """The oldest transaction beside this one; None where none is open, or none is told.

    A role without `pg_read_all_stats` is told of its own alone.
    """
    row = connection.execute(_OLDEST).one_or_none()
    return None if row is None else OldestTransaction(*row)
