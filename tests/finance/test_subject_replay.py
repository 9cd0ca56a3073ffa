"""The replay says of each line what the ledger said, and of a changed one that it lies.

It knows nothing of entitlements: what it says comes of the lines of a subject alone.
"""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from storage.database import Database
from storage.finance.reconciliation import subject_lines
from storage.finance.reconciliation.subject_lines import Line
from tests.ledger.scenario_player import Scenario, parse
from tests.ledger.test_ledger_scenarios import STORIES
from tests.ledger.test_window_histories import MOVES, NAMED, _play
from worker.finance.reconciliation.subject_replay import mismatches

_AT_ONCE = timedelta(0)
"""Nothing in a test waits for a lock: each order is the one that its times tell."""


@pytest.fixture
def database(database_url) -> Iterator[Database]:
    database = Database(database_url)
    with closing(database):
        yield database


def _lines(database: Database) -> dict[int, list[Line]]:
    """The lines of all licenses, for each of their periods."""
    with database.transaction() as connection:
        periods = connection.execute(
            text("SELECT id, license_id, starts_at FROM periods ORDER BY id")
        ).all()
        return {
            period.id: list(
                subject_lines.of_license(
                    connection,
                    period.license_id,
                    period_id=period.id,
                    starts_at=period.starts_at,
                )
            )
            for period in periods
        }


def _assert_right(database: Database) -> int:
    found = 0
    for lines in _lines(database).values():
        assert list(mismatches(lines, close=_AT_ONCE)) == []
        found += len(lines)
    return found


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.stem)
def test_it_agrees_with_each_story(story, database_url, database):
    scenario = Scenario(database_url)
    for step in parse(story.read_text()):
        scenario.play(step)
    _assert_right(database)


@pytest.mark.parametrize("name", NAMED)
def test_it_agrees_with_what_broke_simpler_rules(database, name):
    _play(database, NAMED[name][0])
    assert _assert_right(database) > 0


def _promise(examples: int, length: int):
    @settings(
        max_examples=examples,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.function_scoped_fixture,
        ],
    )
    @given(moves=st.lists(MOVES, min_size=4, max_size=length))
    def promise(database, moves):
        _play(database, moves)
        _assert_right(database)

    return promise


def test_it_agrees_with_random_histories(database):
    _promise(15, 16)(database)


@pytest.mark.slow
def test_it_agrees_with_many_long_histories(database):
    _promise(150, 30)(database)


def _changed(line: Line) -> list[Line]:
    """A line as somebody would have it who pays less, or for something else."""
    other = line.id + 1_000_000
    if line.rule == "price":
        free = line._replace(rule="paid_meanwhile", credits=0, paid_by=other)
        # No view was quoted.
        quoted = line._replace(rule="free_as_quoted", credits=0)
        return [free, quoted] if line.is_view else [free]
    if line.paid_by is None:
        return [line._replace(paid_by=other)]
    return [
        line._replace(paid_by=other),
        line._replace(paid_by=None, rule="price", credits=1),
    ]


@pytest.mark.parametrize("name", NAMED)
def test_a_line_that_says_something_else_is_named(database, name):
    _play(database, NAMED[name][0])
    tried = 0
    for lines in _lines(database).values():
        for place, line in enumerate(lines):
            for changed in _changed(line) if line.is_asked else ():
                lie = [*lines[:place], changed, *lines[place + 1 :]]
                named = {one.line.id for one in mismatches(lie, close=_AT_ONCE)}
                assert line.id in named, changed
                tried += 1
    assert tried > 0
