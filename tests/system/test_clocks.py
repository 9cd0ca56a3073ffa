"""Processes that claim another time than the house: they work, and end nothing."""

import pytest

from storage.ledger import audit
from tests.support.fleet import (
    LICENSE,
    answer,
    assert_exact,
    load_persons,
    submit,
    until,
)
from worker.ledger import balances

pytestmark = pytest.mark.slow

_FORTY_DAYS = str(40 * 24 * 3600)
_PERSONS = 60


def test_processes_that_are_40_days_ahead_end_no_period_and_lock_nobody(fleet):
    load_persons(fleet.deps, 2 * _PERSONS)
    fleet.start("worker", "dispatcher")
    assert_exact(fleet, submit(fleet.deps, 0, _PERSONS), 0, _PERSONS)
    ahead = fleet.start("worker", "dispatcher", CLOCK_OFFSET_S=_FORTY_DAYS)
    until(lambda: fleet.log().count("CLOCK_OFFSET_S is left aside") >= len(ahead))
    job_id = submit(fleet.deps, _PERSONS, 2 * _PERSONS)
    assert_exact(fleet, job_id, _PERSONS, 2 * _PERSONS)
    # Delivered again, within the window: a time 40 days later would pay for it.
    assert fleet.ended(submit(fleet.deps, 0, 2 * _PERSONS)).settled == 0
    balance = balances.balance_of(fleet.deps, LICENSE)
    assert balance.expired == 0
    first, second = answer(0, _PERSONS), answer(_PERSONS, 2 * _PERSONS)
    assert balance.spent == first.settled + second.settled
    assert fleet.scalar("SELECT count(*) FROM periods") == 1
    with fleet.deps.database.transaction() as connection:
        assert audit.run(connection) == []
