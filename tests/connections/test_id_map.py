"""The id map: what is found by which id, and what it costs where there is much."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from storage.connections import id_map
from storage.connections.id_map import Entry, Key
from tests.support.push_runs import connect

_AT = datetime(2026, 1, 1, tzinfo=UTC)
_MANY = 20_000


@pytest.fixture
def connections(house, sandbox, connection):
    settings = {"url": f"{sandbox.url}/hubspot"}
    other = connect(house, "hubspot", settings, {"access_token": "another"})
    return connection, other


@pytest.fixture
def opened(house, connections):
    """A transaction, begun once both connections are there."""
    assert connections
    with house.database.transaction() as open_:
        yield open_


def _keep(opened, connection, *entries):
    kept = [Entry("person", our_id, their_id, "d") for our_id, their_id in entries]
    id_map.keep(opened, connection, kept, _AT)


def test_a_record_of_a_crm_is_ours_by_its_own_id_and_by_ours(opened, connection):
    _keep(opened, connection, ("p1", "71"), ("p2", "p2"), ("p3", "p1"))
    asked = ["71", "p2", "p1", "p3", "72"]
    found = id_map.ours(opened, connection, "person", asked)
    assert found == {"71": "p1", "p2": "p2", "p1": "p3"}
    assert id_map.ours(opened, connection, "company", asked) == {}


def test_an_id_of_before_is_known_and_blurred_by_its_trimmed_self(opened, connection):
    _keep(opened, connection, (" p1", "71"), ("p2 ", "72"), ("p2", "73"))
    known = id_map.of(opened, connection, "person", ["p1", "p2", "p3"])
    assert {our_id: one.their_id for our_id, one in known.items()} == {
        "p1": "71",
        "p2": "73",
    }
    id_map.blur(opened, connection, [Key("person", "p1"), Key("person", "p3")])
    known = id_map.of(opened, connection, "person", ["p1", "p2"])
    assert (known["p1"].digest, known["p2"].digest) == ("", "d")


@pytest.mark.parametrize(
    ("license_id", "erased"), [("acme", 4), (None, 4), ("another", 0)]
)
def test_an_erased_person_is_left_in_no_connection_of_the_license(
    connections, opened, license_id, erased
):
    for connection in connections:
        _keep(opened, connection, ("p1", "71"), (" p1", "72"), ("p2", "73"))
    assert id_map.erase(opened, "p1", license_id) == erased
    assert opened.scalar(text("SELECT count(*) FROM id_map")) == 6 - erased


@pytest.mark.parametrize(
    ("asked", "name"),
    [(id_map._OF, "ours"), (id_map._OURS, "theirs"), (id_map._BLUR, "ours")],
)
def test_a_batch_reads_no_more_of_a_long_map_than_it_is_about(
    opened, connection, asked, name
):
    fill = text("""
        INSERT INTO id_map SELECT :id, 'person', 'p' || n, 'p' || n, 'd', '', now()
          FROM generate_series(1, :many) AS n""")
    opened.execute(fill, {"id": connection, "many": _MANY})
    opened.execute(text("ANALYZE id_map"))
    values = {"connection_id": connection, "kind": "person"}
    ids = "{" + ",".join(f"p{number}" for number in range(500)) + "}"
    plan = text(f"EXPLAIN {asked.text}")
    lines = list(opened.execute(plan, values | {name: ids}).scalars())
    assert any("id_map" in line for line in lines)
    assert not any("Seq Scan on id_map" in line for line in lines)
