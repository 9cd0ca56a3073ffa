"""The ways of a quote and of a chunk through the house stay as short as they became.

The numbers compared with are those of the flat tree before the folders, where each
loose module was a room of its own.
"""

import pytest
from sqlalchemy import text

from tests.house.journey import Journey, followed
from tests.support import job_runs
from worker.jobs import chunk_runner, submission

QUOTE_ONCE = {"rooms": 11, "climbs": 9}
CHUNK_ONCE = {"rooms": 12, "climbs": 12, "returns": 17}


@pytest.fixture
def wired(database_url, tmp_path):
    deps = job_runs.wire_to(database_url, tmp_path)
    job_runs.create_license(deps)
    job_runs.know(deps, "p1", "p2")
    yield deps
    deps.providers.close()
    deps.database.close()


@pytest.fixture
def way_of_a_quote(wired) -> Journey:
    with followed() as journey:
        job_runs.quote(wired, ["c1/p1", "c1/p2", "c2"])
    return journey


@pytest.fixture
def way_of_a_chunk(wired) -> Journey:
    quote = job_runs.quote(wired, ["c1/p1", "c1/p2", "c2"])
    job_id = submission.submit(wired, quote.id)
    chunks = text("SELECT id FROM chunks WHERE job_id = :id ORDER BY id")
    with wired.database.transaction() as connection:
        first = connection.execute(chunks, {"id": job_id}).scalars().first()
    with followed() as journey:
        chunk_runner.run_chunk(wired, first)
    return journey


def test_a_quote_enters_at_most_half_of_the_rooms_it_did(way_of_a_quote):
    assert 2 * len(way_of_a_quote.rooms) <= QUOTE_ONCE["rooms"], way_of_a_quote


def test_a_quote_climbs_at_most_half_as_often(way_of_a_quote):
    assert 2 * way_of_a_quote.climbs <= QUOTE_ONCE["climbs"], way_of_a_quote


def test_a_quote_begins_where_quotes_are_and_looks_up_the_license_once(way_of_a_quote):
    assert way_of_a_quote.rooms == ["quotes", "exports", "licenses"]
    assert way_of_a_quote.stays.count("licenses") == 1


def test_a_chunk_enters_at_most_half_of_the_rooms_it_did(way_of_a_chunk):
    assert 2 * len(way_of_a_chunk.rooms) <= CHUNK_ONCE["rooms"], way_of_a_chunk


def test_a_chunk_climbs_at_most_half_as_often(way_of_a_chunk):
    assert 2 * way_of_a_chunk.climbs <= CHUNK_ONCE["climbs"], way_of_a_chunk


def test_a_chunk_returns_at_most_half_as_often(way_of_a_chunk):
    assert 2 * way_of_a_chunk.returns <= CHUNK_ONCE["returns"], way_of_a_chunk


def test_a_chunk_goes_from_the_job_through_its_records_to_what_is_delivered(
    way_of_a_chunk,
):
    assert way_of_a_chunk.rooms == ["jobs", "quotes", "findings", "exports"]
