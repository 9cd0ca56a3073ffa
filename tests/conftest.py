"""What all tests share: real servers for a session, a database for a test."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import cache
from pathlib import Path

import httpx
import pytest
import redis
from hypothesis import HealthCheck, settings
from sqlalchemy import make_url

from storage.database import Database
from storage.migrations.migrator import migrate
from tests.support import stores
from tests.support.databases import Copies, new_database
from tests.support.servers import own_broker, postgres_server

settings.register_profile(
    "default",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "long", parent=settings.get_profile("default"), max_examples=2_000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


_TELLS_PROGRAMS = ("HOLDFAST_", "PG", "CELERY_")
"""How variables begin by which a machine could lead a test elsewhere."""

_ARE_OURS = ("HOLDFAST_TEST_", "PGPASS")
"""What a person says to the tests."""


def pytest_configure() -> None:
    """Let nothing that a machine or a shell says change what a test finds."""
    for name in list(os.environ):
        if name.startswith(_TELLS_PROGRAMS) and not name.startswith(_ARE_OURS):
            del os.environ[name]
    # Whatever proxy leads out, the servers of tests are on this machine.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    # A shell's background ignores Ctrl-C, and so would every command of a test.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Each client reads the certificates of a hundred authorities, 25 ms of a processor.
    trusted = cache(httpx.create_ssl_context)
    for name in ("httpx", "httpx._transports.default"):
        setattr(sys.modules[name], httpx.create_ssl_context.__name__, trusted)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what `make test` gives: a shared machine is not what promises are made on."""
    parser.addoption(
        "--slack",
        type=float,
        default=1.0,
        help="how many times slower than promised is let pass by tests of speeds",
    )


_SERVERS = {"server", "s3_servers", "redis_url", "broker", "sandbox", "with_box", "org"}
"""Fixtures that start a server; whoever needs none of them is quick."""

_INSTALLATIONS = ("browser", "cli", "embedded", "odoo", "system")
"""Folders whose tests start processes by themselves."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts nothing as `quick`, for `make test-fast`."""
    for item in items:
        needs = set(getattr(item, "fixturenames", ()))
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if not needs & _SERVERS and folder not in _INSTALLATIONS:
            item.add_marker("quick")


@pytest.fixture
def slack(request: pytest.FixtureRequest) -> float:
    """By how much a promised speed may be missed here."""
    return float(request.config.getoption("--slack"))


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL: the one that is named, or one of our own."""
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def template(server: str) -> Iterator[str]:
    """The name of a migrated database that tests copy."""
    with new_database(server) as url:
        database = Database(url)
        migrate(database)
        database.close()
        yield str(make_url(url).database)


@pytest.fixture(scope="session")
def copies(server: str, template: str) -> Iterator[Copies]:
    """Copies of the migrated database, for one test after another."""
    with closing(Copies(server, template)) as made:
        yield made


@pytest.fixture
def database_url(copies: Copies) -> Iterator[str]:
    """A database of the test's own; in the end the audit finds nothing wrong in it,
    and the statements of all periods add up.
    """
    with copies.lend(audited=True) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A `Database` on the test's own database."""
    database = Database(database_url, pool=40)
    yield database
    database.close()


@pytest.fixture
def empty_database(server: str) -> Iterator[Database]:
    """A database without any table."""
    with new_database(server) as url, closing(Database(url)) as database:
        yield database


@pytest.fixture
def broken_database(copies: Copies) -> Iterator[Database]:
    """A migrated database whose promises the test breaks on purpose."""
    with copies.lend(audited=False) as url, closing(Database(url)) as database:
        yield database


@pytest.fixture(scope="module")
def shared_database(copies: Copies) -> Iterator[Database]:
    """A migrated database for a module whose tests leave it as they found it."""
    with copies.lend(audited=False) as url, closing(Database(url)) as database:
        yield database


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Valkey of our own."""
    with (
        own_broker(tmp_path_factory.mktemp("valkey") / "home") as broker,
        broker.running(),
    ):
        yield broker.url


@pytest.fixture
def no_pauses(redis_url: str) -> None:
    """Lets nobody rest for what another test has seen: providers have few names."""
    with redis.Redis.from_url(redis_url.replace("redis+socket", "unix")) as client:
        client.flushall()


@pytest.fixture(scope="session")
def s3_servers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[stores.Servers]:
    """Running S3 servers by kind, each started when it is first asked for."""
    with ExitStack() as running:

        @cache
        def server(kind: str) -> stores.S3Server:
            folder = tmp_path_factory.mktemp(kind)
            return running.enter_context(stores.running(kind, folder))

        yield server


@pytest.fixture
def s3_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys of the tests' servers, as every program finds them; nothing else."""
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in stores.KEYS.items():
        monkeypatch.setenv(name, value)
