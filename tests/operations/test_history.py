"""The history behind the charts: each count once, thinned without losing a sum."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from sqlalchemy import Connection, text

from storage.database import Database
from storage.operations import counters, history
from storage.operations.history import HOUR_S, MINUTE_S, TEN_MINUTES_S, Point
from tests.support import job_runs
from worker.jobs import submission

_DAY_S = 24 * 3600
_YEAR_S = 365 * _DAY_S


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.transaction() as connection:
        yield connection


def _note(connection: Connection) -> bool:
    return history.note(connection, processes_within_s=60)


def _age(connection: Connection, seconds: float) -> None:
    """Let all that is there be so much older."""
    connection.execute(
        text("UPDATE history SET at = at - make_interval(secs => :seconds)"),
        {"seconds": seconds},
    )


def _put(connection: Connection, ago_s: float, width_s: int, **numbers: float) -> None:
    """A row of the bin of its width that was so long ago."""
    names = (*history._SUMS, *history._MEANS, *history._WORST)
    columns = {"looks": 1} | dict.fromkeys(names, 0) | numbers
    connection.execute(
        text(f"""
            INSERT INTO history (at, width_s, {", ".join(columns)})
            SELECT date_bin(make_interval(secs => :width_s),
                            clock_timestamp() - make_interval(secs => :ago_s),
                            {history._EPOCH}),
                   :width_s, {", ".join(f":{name}" for name in columns)}"""),
        {"ago_s": ago_s, "width_s": width_s, **columns},
    )


def _widths(connection: Connection) -> dict[int, int]:
    rows = connection.execute(
        text("SELECT width_s, count(*) AS rows FROM history GROUP BY 1")
    )
    return {row.width_s: row.rows for row in rows}


def _one(connection: Connection) -> Point:
    (point,) = history.series(connection, since_s=_YEAR_S, width_s=MINUTE_S)
    return point


def test_a_minute_is_written_down_once_with_what_was_counted_since_the_last(connection):
    counters.add(
        connection,
        {
            ("records", ("export", "delivered")): 7,
            ("records", ("push", "delivered")): 2,
            ("records", ("push", "rejected")): 1,
            ("credits_settled", ("push",)): 12,
            ("chunk_failures", ("push", "storage")): 3,
            ("leases_expired", ("chunk",)): 4,
            ("fenced_writes", ("entry",)): 5,
            ("chunk_seconds_sum", ("push",)): 99.5,
        },
    )
    assert _note(connection)
    assert not _note(connection)
    first = _one(connection)
    assert first[2:9] == (9, 0, 1, 12, 3, 4, 5)
    _age(connection, 120)
    counters.add(connection, {("records", ("export", "delivered")): 1})
    assert _note(connection)
    points = history.series(connection, since_s=600, width_s=MINUTE_S)
    assert [point.delivered for point in points] == [9, 1]
    assert [point.credits_settled for point in points] == [12, 0]


def test_it_says_how_things_stood(database_url, tmp_path):
    deps = job_runs.wire_to(database_url, tmp_path)
    job_runs.create_license(deps)
    submission.submit(deps, job_runs.quote(deps, ["c1", "c2", "c3"]).id)
    with deps.database.transaction() as connection:
        assert _note(connection)
        point = _one(connection)
    deps.database.close()
    assert (point.jobs_open, point.chunks_waiting, point.chunks_running) == (1, 2, 0)
    assert point.oldest_chunk_s > 0
    assert point.workers == 0


def test_of_two_that_keep_it_one_writes_a_minute_down(database):
    with ThreadPoolExecutor(1) as thread, database.transaction() as connection:
        assert _note(connection)
        assert not thread.submit(_note_apart, database).result()
    assert not _note_apart(database)


def _note_apart(database: Database) -> bool:
    with database.transaction() as connection:
        return _note(connection)


def test_thinned_sums_stay_sums_levels_are_means_and_waits_the_longest(connection):
    long_ago_s = 5 * 3600.0
    for minute, waiting in enumerate((10, 20, 60)):
        _put(
            connection,
            long_ago_s - long_ago_s % 600 + minute * 60,
            MINUTE_S,
            delivered=100,
            chunks_waiting=waiting,
            oldest_chunk_s=waiting,
        )
    before = history.series(connection, since_s=_DAY_S, width_s=HOUR_S)
    history.thin(connection, kept_s=_YEAR_S)
    assert set(_widths(connection)) == {TEN_MINUTES_S}
    after = history.series(connection, since_s=_DAY_S, width_s=HOUR_S)
    assert after == before
    assert sum(point.delivered for point in after) == 300
    assert max(point.oldest_chunk_s for point in after) == 60


def test_a_mean_weighs_each_minute_the_same_however_often_it_was_thinned(connection):
    """Of 19 minutes in two tens one has half as many as the other."""
    four_days_s = 4.0 * _DAY_S
    start_s = four_days_s - 1
    for minute in range(9):
        _put(connection, start_s - minute * 60, MINUTE_S, chunks_waiting=30)
    for minute in range(600 // 60, 600 // 60 + 3):
        _put(connection, start_s - minute * 60, MINUTE_S, chunks_waiting=90)
    rows = connection.execute(text("SELECT avg(chunks_waiting), count(*) FROM history"))
    mean, count = rows.one()
    history.thin(connection, kept_s=_YEAR_S)
    history.thin(connection, kept_s=_YEAR_S)
    assert set(_widths(connection)) == {HOUR_S}
    points = history.series(connection, since_s=_YEAR_S, width_s=HOUR_S)
    looks = connection.execute(text("SELECT sum(looks) FROM history")).scalar_one()
    assert looks == count
    weighed = connection.execute(
        text("SELECT sum(chunks_waiting * looks) / sum(looks) FROM history")
    ).scalar_one()
    assert weighed == pytest.approx(mean)
    assert points


def test_each_age_has_its_width_and_an_end(connection):
    for ago_s, width_s in (
        (60, MINUTE_S),
        (2 * 3600, MINUTE_S),
        (4 * 3600, MINUTE_S),
        (2 * _DAY_S, TEN_MINUTES_S),
        (4 * _DAY_S, TEN_MINUTES_S),
        (300 * _DAY_S, HOUR_S),
        (401 * _DAY_S, HOUR_S),
    ):
        _put(connection, ago_s, width_s, delivered=1)
    history.thin(connection, kept_s=400 * _DAY_S)
    assert _widths(connection) == {MINUTE_S: 2, TEN_MINUTES_S: 2, HOUR_S: 2}


def test_a_row_that_is_there_already_is_added_to(connection):
    """Where the clock went back, a time that was thinned comes again."""
    ago_s = 5 * 3600.0
    _put(connection, ago_s, TEN_MINUTES_S, delivered=5, jobs_open=1, oldest_chunk_s=9)
    _put(connection, ago_s, MINUTE_S, delivered=2, jobs_open=3, oldest_chunk_s=4)
    history.thin(connection, kept_s=_YEAR_S)
    (point,) = history.series(connection, since_s=_YEAR_S, width_s=TEN_MINUTES_S)
    assert (point.delivered, point.jobs_open, point.oldest_chunk_s) == (7, 2, 9)


def test_a_series_has_points_as_wide_as_asked_or_as_what_is_left(connection):
    _put(connection, 2 * _DAY_S, TEN_MINUTES_S, delivered=1)
    _put(connection, 130, MINUTE_S, delivered=2)
    points = history.series(connection, since_s=3 * _DAY_S, width_s=MINUTE_S)
    assert [(point.width_s, point.delivered) for point in points] == [
        (TEN_MINUTES_S, 1),
        (MINUTE_S, 2),
    ]
    assert all(isinstance(point.at, datetime) for point in points)
    assert history.series(connection, since_s=60, width_s=MINUTE_S) == []
