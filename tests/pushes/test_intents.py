"""What a push is about to send, while its chunk runs and once that has stopped."""

import pytest
from sqlalchemy import text

from storage.connections.id_map import Key
from storage.crm_changes import Change
from storage.jobs.chunks import ChunkSlice
from storage.pushes import intents
from storage.pushes.intents import Intent
from tests.support.push_runs import (
    contact,
    counts,
    die_after_sending,
    let_go,
    run,
    submit,
)

# As versions before this one read what is in doubt.
_BEFORE = "SELECT kind, our_id FROM intents WHERE job_id = :job_id"


@pytest.fixture
def died(house, connection, monkeypatch):
    """A job whose worker died with a batch sent, still held by its lease."""
    records = [contact(f"c{n}", f"p{n}") for n in range(3)]
    job_id = submit(house, connection, records)
    die_after_sending(house, job_id, monkeypatch)
    return job_id


def _left(house, job_id):
    with house.database.transaction() as open_:
        rows = open_.execute(text(_BEFORE), {"job_id": job_id})
        return {tuple(row) for row in rows}


def test_a_chunk_that_stops_in_doubt_leaves_a_row_for_each_whoever_runs_it_next(
    house, died
):
    assert _left(house, died) == set()
    let_go(house, died)
    everyone = {("company", f"c{n}") for n in range(3)}
    everyone |= {("person", f"p{n}") for n in range(3)}
    assert _left(house, died) == everyone
    assert counts(run(house, died)) == {"created": 3}
    assert _left(house, died) == set()


def test_what_was_intended_first_stays_with_what_more_is_to_be_written(house, died):
    with house.database.transaction() as open_:
        chunk_id = open_.scalar(
            text("SELECT id FROM chunks WHERE job_id = :job_id"), {"job_id": died}
        )
        more = Intent(
            kind="person",
            our_id="p1",
            change=Change.UPDATED,
            their_id="7",
            fields=("more",),
        )
        intents.put(open_, died, chunk_id, [more])
    let_go(house, died)
    with house.database.transaction() as open_:
        kept = intents.of(open_, ChunkSlice(died, 0))[Key("person", "p1")]
    assert (kept.change, kept.their_id) == (Change.CREATED, None)
    assert {"more", "firstname"} <= set(kept.fields)


def test_a_batch_that_is_settled_leaves_nothing(house, connection):
    job_id = submit(house, connection, [contact("c1", "p1")])
    run(house, job_id)
    with house.database.transaction() as open_:
        assert open_.scalar(text("SELECT count(*) FROM intent_batches")) == 0
    assert _left(house, job_id) == set()
