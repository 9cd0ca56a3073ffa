"""Whoever says nothing is waited for so long and no longer, its name included."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import httpx
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError

import storage.bounded_connection
import storage.database
from storage.database import Database
from storage.errors import ArtifactError
from storage.files.artifact_store import open_artifacts
from tests.support.fleet import until
from tests.support.silent_proxy import SilentProxy, proxy_to, silent_server
from worker.api.app import make_api
from worker.celery_app import make_app
from worker.findings.providers.errors import Unavailable
from worker.findings.providers.http import Http
from worker.infrastructure.broker_probe import broker_answers
from worker.infrastructure.errors import OutboundError
from worker.infrastructure.name_resolution import Resolver
from worker.infrastructure.outbound_http import OutboundHttp
from worker.infrastructure.settings import Settings
from worker.jobs.messages.broker_queues import BrokerQueues, BrokerSilent

_KEY = "bootstrap-key-of-this-test"


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    began_s = time.monotonic()
    yield
    assert time.monotonic() - began_s < seconds


# -- PostgreSQL -------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch) -> None:
    monkeypatch.setattr(storage.database, "CONNECT_S", 0.5)
    monkeypatch.setattr(storage.database, "_SERVER_FIRST_S", 0.3)
    monkeypatch.setattr(storage.bounded_connection, "_REST_S", 0.5)


@pytest.fixture
def proxied(database_url, quick) -> Iterator[tuple[str, SilentProxy]]:
    """The test's database by a way that can be cut."""
    url = make_url(database_url)
    folder = url.query.get("host")
    port = int(str(url.query.get("port") or url.port or 5432))
    address = f"{folder}/.s.PGSQL.{port}" if folder else (str(url.host), port)
    with proxy_to(address) as proxy:
        way = url.set(host="127.0.0.1", port=proxy.port)
        way = way.difference_update_query(["host", "port"])
        yield way.render_as_string(hide_password=False), proxy


def _ask(database: Database, statement: str = "SELECT 1") -> object:
    with database.transaction() as connection:
        return connection.execute(text(statement)).scalar()


def _cut_in_the_middle(database: Database, proxy: SilentProxy) -> None:
    with database.transaction() as connection:
        connection.execute(text("SELECT 1"))
        proxy.is_silent = True
        connection.execute(text("SELECT 2"))


def test_a_database_that_stops_in_a_statement_is_given_up_and_found_again(proxied):
    url, proxy = proxied
    with closing(Database(url, answer_s=0.7, pool=2)) as database:
        with _at_most(3), pytest.raises(OperationalError, match="no answer within"):
            _cut_in_the_middle(database, proxy)
        # Whoever comes next is told at once.
        with _at_most(0.3), pytest.raises(OperationalError, match="does not answer"):
            _ask(database)
        proxy.is_silent = False

        def answers() -> bool:
            with suppress(OperationalError):
                return _ask(database) == 1
            return False

        until(answers, within_s=20)


def test_a_connection_that_rested_in_the_pool_shows_soon_that_it_is_dead(
    proxied, monkeypatch
):
    monkeypatch.setattr("storage.bounded_connection._MOMENT_S", 0.0)
    url, proxy = proxied
    with closing(Database(url, answer_s=30, pool=2)) as database:
        assert _ask(database) == 1
        proxy.is_silent = True
        with _at_most(6), pytest.raises(OperationalError):
            _ask(database)


def test_a_statement_that_takes_too_long_ends_unless_it_may(database_url):
    with closing(Database(database_url, answer_s=0.2)) as database:
        with _at_most(3), pytest.raises(OperationalError):
            _ask(database, "SELECT pg_sleep(5)")
        with database.transaction(patient=True) as connection:
            connection.execute(text("SELECT pg_sleep(0.6)"))
        with _at_most(3), pytest.raises(OperationalError):
            _ask(database, "SELECT pg_sleep(5)")


def test_the_api_answers_unavailable_while_the_database_hangs(proxied, tmp_path):
    url, proxy = proxied
    settings = Settings(
        home=tmp_path, database_url=url, bootstrap_key=_KEY, database_timeout_s=0.7
    )
    api = make_api(settings)

    async def go() -> None:
        headers = {"Authorization": f"Bearer {_KEY}"}
        way = httpx.ASGITransport(api, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=way, base_url="http://api", headers=headers
        ) as client:
            assert (await client.get("/v1/webhooks")).status_code == 200
            proxy.is_silent = True
            for most_s in (8, 0.5):
                with _at_most(most_s):
                    answer = await client.get("/v1/webhooks")
                assert answer.status_code == 503
                assert answer.json()["code"] == "unavailable"

    asyncio.run(go())
    api.state.context.deps.database.close()


# -- The resolver -------------------------------------------------------------------


class _HungResolver:
    """Answers when it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.asked = 0

    def __call__(self, host: str, port: int) -> list[str]:
        del port
        self.asked += 1
        if host != "quick.example":
            self.let_go.wait(30)
        return ["127.0.0.1"]


@pytest.fixture
def hung() -> Iterator[_HungResolver]:
    lookup = _HungResolver()
    yield lookup
    lookup.let_go.set()


def test_a_request_whose_name_is_not_resolved_ends_at_its_deadline(hung):
    outbound = OutboundHttp(allow_private=True, resolve=hung, timeout_s=0.3)
    with _at_most(1.5), pytest.raises(OutboundError) as refused:
        outbound.request("POST", "http://slow.example/")
    assert not refused.value.sent
    # The next one does not wait for what is known to be late, nor asks anew.
    with _at_most(0.2), pytest.raises(OutboundError):
        outbound.request("POST", "http://slow.example/")
    assert hung.asked == 1


def test_a_resolver_that_hangs_takes_so_many_threads_and_no_more(hung):
    resolver = Resolver(hung, threads_max=3)
    for number in range(6):
        with _at_most(0.6), pytest.raises(OSError, match="resolve"):
            resolver.resolve(f"slow-{number}.example", 80, within_s=0.1)
    assert hung.asked == 3
    hung.let_go.set()
    until(lambda: not resolver._asked)
    assert resolver.resolve("slow-5.example", 80) == ["127.0.0.1"]


def test_an_address_needs_no_resolver(hung):
    assert Resolver(hung).resolve("192.0.2.1", 80) == ["192.0.2.1"]
    assert hung.asked == 0


def test_a_provider_whose_name_is_not_resolved_is_unavailable_in_time(hung):
    async def go() -> None:
        http = Http(timeout_s=0.4, resolve=Resolver(hung).resolve_in_loop)
        try:
            await http.get("http://slow.example/", {}, {})
        finally:
            await http.close()

    with _at_most(2), pytest.raises(Unavailable):
        asyncio.run(go())


def test_a_store_whose_name_is_not_resolved_is_given_up_in_time(hung, s3_keys):
    resolver = Resolver(hung)
    store = open_artifacts(
        "s3://bucket?endpoint=http://slow.example:9000&region=x",
        timeout_s=0.2,
        resolve=lambda host, port: resolver.resolve(host, port, within_s=0.2),
    )
    with _at_most(6), pytest.raises(ArtifactError), store.open("a") as stream:
        stream.read()
    assert hung.asked == 1


def test_a_database_whose_name_is_not_resolved_is_given_up_in_time(hung):
    resolver = Resolver(hung)
    database = Database(
        "postgresql+psycopg://somebody@slow.example/x",
        resolve=lambda host, port: resolver.resolve(host, port, within_s=0.2),
    )
    with closing(database), _at_most(2), pytest.raises(OperationalError):
        _ask(database)


# -- Servers that say nothing -------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["redis://127.0.0.1", "amqp://guest@127.0.0.1"])
def test_a_broker_that_says_nothing_is_given_up_in_time(scheme):
    with silent_server() as port:
        settings = Settings(broker_url=f"{scheme}:{port}")
        app = make_app(settings, within_s=0.5)
        with _at_most(15), pytest.raises(BrokerSilent):
            BrokerQueues(app).waiting("chunks")
        with _at_most(8):
            assert not broker_answers(settings)


def test_a_server_of_somebody_else_that_says_nothing_is_given_up_in_time():
    outbound = OutboundHttp(allow_private=True, timeout_s=0.3)
    with silent_server() as port, _at_most(2), pytest.raises(OutboundError):
        outbound.request("POST", f"http://127.0.0.1:{port}/")


def test_a_provider_that_says_nothing_is_unavailable_in_time():
    async def go(port: int) -> None:
        http = Http(timeout_s=0.4)
        try:
            await http.get(f"http://127.0.0.1:{port}/", {}, {})
        finally:
            await http.close()

    with silent_server() as port, _at_most(2), pytest.raises(Unavailable):
        asyncio.run(go(port))


def test_a_store_that_says_nothing_is_given_up_in_time(s3_keys):
    with silent_server() as port:
        url = f"s3://bucket?endpoint=http://127.0.0.1:{port}&region=x"
        store = open_artifacts(url, timeout_s=0.2)
        with _at_most(8), pytest.raises(ArtifactError), store.open("a") as stream:
            stream.read()
