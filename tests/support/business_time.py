"""Business time in tests: moved for all processes, as an operator would."""

from contextlib import closing
from datetime import timedelta

import psycopg
from psycopg import sql
from sqlalchemy import make_url, text

from storage.database import Database
from storage.ledger import business_clock

DAY_S = 24 * 3600.0


def shift_to(database: Database, offset_s: float) -> None:
    """Let business time be so far ahead from now on, and confirm the clock."""
    with database.transaction() as connection:
        business_clock.set_offset(connection, offset_s)
        business_clock.confirm(connection)


def shift_at(database_url: str, *, days: float) -> None:
    """The same by the database's URL."""
    with closing(Database(database_url, pool=1)) as database:
        shift_to(database, days * DAY_S)


_MOVABLE = """
CREATE SCHEMA moved;
CREATE TABLE moved.clock (ahead interval NOT NULL);
INSERT INTO moved.clock VALUES (interval '0');
CREATE FUNCTION moved.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
$$ SELECT pg_catalog.clock_timestamp() + ahead FROM moved.clock $$;
"""


def make_clock_movable(database_url: str) -> None:
    """Let the database's clock be wrong for all who connect from now on.

    Every statement finds a clock of this name before the server's own.
    """
    address = make_url(database_url).set(drivername="postgresql")
    with psycopg.connect(address.render_as_string(hide_password=False)) as connection:
        connection.execute(_MOVABLE)
        connection.execute(
            sql.SQL(
                "ALTER DATABASE {} SET search_path = moved, public, pg_catalog"
            ).format(sql.Identifier(str(address.database)))
        )


def move_clock(database: Database, ahead: timedelta) -> None:
    """Let the database's clock jump, to so far ahead of the right time."""
    with database.transaction() as connection:
        connection.execute(
            text("UPDATE moved.clock SET ahead = :ahead"), {"ahead": ahead}
        )
