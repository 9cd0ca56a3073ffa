"""What every transaction can rely on."""

from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import text

from storage.database import Database, transaction_open
from storage.ledger import business_clock
from storage.licenses.licenses import business_now


def test_what_raises_changes_nothing(database):
    with suppress(ZeroDivisionError), database.transaction() as connection:
        connection.execute(
            text("INSERT INTO processes (id, role) VALUES ('x', 'worker')")
        )
        raise ZeroDivisionError
    with database.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM processes")).scalar() == 0


def test_transactions_do_not_nest(database):
    with database.transaction():
        assert transaction_open()
        with pytest.raises(RuntimeError), database.transaction():
            pass
    assert not transaction_open()


def test_the_offset_moves_business_time_and_not_the_clock_of_leases(database_url):
    # Two connections, and neither has a time of its own.
    here, there = Database(database_url, pool=1), Database(database_url, pool=1)
    with here.transaction() as connection:
        business_clock.set_offset(connection, 86400.0)
    with there.transaction() as connection:
        ahead = (
            business_now(connection)
            - connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        )
    here.close()
    there.close()
    assert abs(ahead - timedelta(days=1)) < timedelta(seconds=5)


def test_a_url_that_names_a_host_leads_nowhere_else(database_url, monkeypatch):
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.2")
    monkeypatch.setenv("PGPORT", "1")
    named = Database(database_url)
    with named.transaction() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    named.close()
