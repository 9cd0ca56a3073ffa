"""What the API says of what it stands on, whatever is wrong with that."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from tests.api.conftest import serving
from tests.support.servers import own_broker

_NEVER_LISTENS = 1
"""A port below all that are picked: whoever asks there is refused."""


@contextmanager
def _hung() -> Iterator[int]:
    """The port of a server that takes connections, and says nothing on them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextmanager
def _hung_socket(folder) -> Iterator[str]:
    path = folder / "hung.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield f"redis+socket://{path}"


def _broker(database_url, home, broker_url: str | None) -> tuple[int, str]:
    """How ready the API is, and what it says of a broker."""
    given: dict[str, object] = {"broker_url": broker_url}
    with serving(database_url, home, given) as api:
        answer = api.admin.get("/readyz")
    return answer.status_code, answer.json()["broker"]


_SCHEMES = ["redis", "rediss", "amqp", "amqps"]


@pytest.mark.parametrize("scheme", _SCHEMES)
def test_a_broker_that_refuses_is_degraded(database_url, tmp_path, scheme):
    url = f"{scheme}://127.0.0.1:{_NEVER_LISTENS}"
    assert _broker(database_url, tmp_path, url) == (200, "degraded")


@pytest.mark.parametrize("scheme", _SCHEMES)
def test_a_broker_that_says_nothing_is_degraded(database_url, tmp_path, scheme):
    with _hung() as port:
        found = _broker(database_url, tmp_path, f"{scheme}://127.0.0.1:{port}")
    assert found == (200, "degraded")


@pytest.mark.parametrize("scheme", _SCHEMES)
def test_a_broker_whose_name_leads_nowhere_is_degraded(database_url, tmp_path, scheme):
    url = f"{scheme}://nowhere.invalid"
    assert _broker(database_url, tmp_path, url) == (200, "degraded")


def test_a_socket_without_a_broker_is_degraded(database_url, tmp_path):
    url = f"redis+socket://{tmp_path}/nobody.sock"
    assert _broker(database_url, tmp_path, url) == (200, "degraded")
    with _hung_socket(tmp_path) as hung:
        assert _broker(database_url, tmp_path, hung) == (200, "degraded")


@pytest.mark.parametrize("broker_url", [None, ""])
def test_a_broker_that_is_not_named_is_no_server_of_this_machine(
    database_url, tmp_path, monkeypatch, broker_url
):
    with own_broker(tmp_path / "other") as other, other.running():
        # Whoever is asked for in vain must not be found elsewhere.
        monkeypatch.setenv("CELERY_BROKER_URL", other.url)
        monkeypatch.setenv("BROKER_URL", other.url)
        assert _broker(database_url, tmp_path, broker_url) == (200, "degraded")


def test_a_broker_that_answers_is_ok(database_url, tmp_path):
    with own_broker(tmp_path / "broker") as broker, broker.running():
        assert _broker(database_url, tmp_path, broker.url) == (200, "ok")


def test_a_clock_that_is_held_back_is_told_and_keeps_nobody_out(
    database, database_url, tmp_path
):
    with serving(database_url, tmp_path, {"clock_offset_s": 5}) as api:
        assert api.admin.get("/readyz").json()["clock"] == "offset_ignored"
        with database.transaction() as connection:
            connection.execute(
                text(
                    "UPDATE business_clock SET trusted_at = trusted_at - interval '1h'"
                )
            )
        answer = api.admin.get("/readyz")
        assert (answer.status_code, answer.json()["clock"]) == (200, "held_back")
        found = dict(
            line.split()
            for line in api.admin.get("/metrics").text.splitlines()
            if line.startswith("holdfast_clock")
        )
    assert float(found["holdfast_clock_held_back"]) == 1
    assert 3000 <= float(found["holdfast_clock_held_back_seconds"]) < 3060
