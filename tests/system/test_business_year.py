"""A year of business on real processes that are killed: every figure adds up."""

import pytest

from storage.ledger import audit
from tests.support import closed_books
from tests.support.business_time import DAY_S, shift_to
from tests.support.business_year import PERSONS, BusinessYear
from tests.support.fleet import fleet_of, load_persons

_SEED = 2_026
_YEAR_DAYS = 366
_AFTER_DAYS = 40
"""By then the last month is over as well."""
_KEPT = dict.fromkeys(("INPUT_KEPT_S", "FILE_KEPT_S"), str(int(500 * DAY_S)))


@pytest.mark.parametrize(
    ("step", "jobs_a_day"),
    [
        pytest.param(5, 6, marks=pytest.mark.slow, id="every fifth day"),
        pytest.param(1, 12, marks=pytest.mark.full, id="every day"),
    ],
)
@pytest.mark.timeout(3_000)
def test_a_year_of_business_closes_to_zero_differences(
    database_url, tmp_path, broker, step, jobs_a_day
):
    with fleet_of(tmp_path / "fleet", database_url, broker.url, **_KEPT) as fleet:
        load_persons(fleet.deps, PERSONS)
        year = BusinessYear(fleet, _SEED, jobs_a_day)
        year.play(days=_YEAR_DAYS, step=step)
        assert year.done["jobs"] > _YEAR_DAYS / step * jobs_a_day / 2, year.done
        assert {"kills", "views", "top_ups", "plan_changes", "refunds"} <= {*year.done}
        shift_to(fleet.deps.database, (_YEAR_DAYS + _AFTER_DAYS) * DAY_S)
        year.end_periods()
        with fleet.deps.database.transaction() as connection:
            assert audit.run(connection) == []
        closed_books.close_all(fleet.deps)
        closed_books.reconcile_all(fleet.deps)
        closed_books.verify_chain(fleet.deps)
        closed_books.keep_books_elsewhere(fleet.deps, tmp_path)
