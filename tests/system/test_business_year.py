"""A year of business on real processes that are killed: every figure adds up."""

import pytest

from storage.ledger import audit
from tests.support.business_year import PERSONS, BusinessYear
from tests.support.fleet import fleet_of, load_persons

_SEED = 2_026


@pytest.mark.parametrize(
    ("step", "jobs_a_day"),
    [
        pytest.param(5, 6, marks=pytest.mark.slow, id="every fifth day"),
        pytest.param(1, 12, marks=pytest.mark.full, id="every day"),
    ],
)
def test_a_year_of_business_adds_up(database_url, tmp_path, broker, step, jobs_a_day):
    with fleet_of(tmp_path / "fleet", database_url, broker.url) as fleet:
        load_persons(fleet.deps, PERSONS)
        year = BusinessYear(fleet, _SEED, jobs_a_day)
        year.play(days=366, step=step)
        assert year.done["jobs"] > 300 / step * jobs_a_day / 2, year.done
        assert {"kills", "views", "top_ups", "plan_changes", "refunds"} <= {*year.done}
        with fleet.deps.database.transaction() as connection:
            assert audit.run(connection) == []
