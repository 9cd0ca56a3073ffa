"""The database: one engine, and the one place that commits."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg
from sqlalchemy import Connection, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, InvalidatePoolError

from storage.bounded_connection import (
    CONNECT_S,
    BoundedConnection,
    NoAnswer,
    Resolve,
    Silence,
)

_SERVER_FIRST_S = 3.0
"""So much sooner than we give up the server ends a statement, which is cleaner."""

_KEPT_ALIVE = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # Also where data is on its way that nobody confirms.
    "tcp_user_timeout": 15_000,
}

_open: ContextVar[bool] = ContextVar("transaction_open", default=False)


def transaction_open() -> bool:
    """Whether a transaction is open here: then nothing may wait for the network."""
    return _open.get()


class Database:
    """One PostgreSQL, through a pool of connections.

    A transaction that stands still for `idle_s` is ended: a worker that froze inside
    one must let go of its locks. A statement is given `answer_s`, then the server ends
    it, or we the connection where the server does not answer.
    """

    def __init__(
        self,
        url: str,
        *,
        idle_s: float = 60,
        answer_s: float = 30,
        pool: int = 5,
        resolve: Resolve | None = None,
    ) -> None:
        self.url: URL = make_url(url)
        self._answer_s = answer_s
        self._resolve = resolve
        self._silence = Silence()
        self._connect_args: dict[str, Any] = {
            **_only_where_it_says(self.url),
            **_KEPT_ALIVE,
            "application_name": "holdfast",
            # Planning is half of what a small statement costs: all of ours come again.
            "prepare_threshold": 1,
            # libpq knows whole seconds, and takes less than two for two.
            "connect_timeout": max(2, round(CONNECT_S)),
            "options": (
                # Waiting longer means something hangs; the caller retries.
                f"-c lock_timeout={min(30, answer_s * 0.8) * 1000:.0f} "
                f"-c statement_timeout={answer_s * 1000:.0f} "
                f"-c idle_in_transaction_session_timeout={idle_s * 1000:.0f} "
                "-c timezone=UTC"
            ),
        }
        self._engine = create_engine(
            self.url,
            isolation_level="READ COMMITTED",
            pool_size=pool,
            max_overflow=pool,
            pool_timeout=10,
            # The one that was used last has most surely not been lost meanwhile.
            pool_use_lifo=True,
            connect_args=self._connect_args,
        )
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._bound_connections()

    def _bound_connections(self) -> None:
        """Let connections be ours: quick to show that they live, patient in use."""
        in_use_s = self._answer_s + _SERVER_FIRST_S

        @event.listens_for(self._engine, "do_connect")
        def connect(
            _: object, __: object, ___: object, params: dict[str, Any]
        ) -> BoundedConnection:
            connection = BoundedConnection.open(self._resolve, **params)
            connection.answer_s = CONNECT_S
            # Behind a pooler others may listen on its server, and nobody here reads.
            connection.add_notify_handler(_leave_aside)
            return connection

        @event.listens_for(self._engine, "checkout")
        def in_use(connection: BoundedConnection, _: object, __: object) -> None:
            # A server that restarted must not cost the first request after it.
            if not connection.has_just_answered and not connection.answers():
                raise InvalidatePoolError
            connection.answer_s = in_use_s

        @event.listens_for(self._engine, "checkin")
        def in_pool(connection: BoundedConnection | None, _: object) -> None:
            if connection is not None:
                connection.answer_s = CONNECT_S

    @contextmanager
    def transaction(self, *, patient: bool = False) -> Iterator[Connection]:
        """Commit what happens inside, or nothing where it raises.

        Transactions do not nest; a function that is given a connection never ends it.
        In a patient one a statement may take as long as it takes: for what looks at
        all there is.
        """
        with self._one_at_a_time(), self._engine.begin() as connection:
            if patient:
                _wait_for_ever(connection)
            self._silence.end()
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Let each statement inside stand for itself: it sees what is committed.

        For what reads, or writes by one statement: it saves the two that would begin
        and commit a transaction.
        """
        with self._one_at_a_time(), self._reading.connect() as connection:
            self._silence.end()
            yield connection

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        if _open.get():
            raise RuntimeError("a transaction is already open here")
        self._silence.check()
        mark = _open.set(True)
        try:
            yield
        except DBAPIError as error:
            if _is_silence(error):
                self._silence.begin()
            raise
        finally:
            _open.reset(mark)

    def connect_apart(self) -> BoundedConnection:
        """A connection of the caller's own, that commits by itself.

        Raises `psycopg.Error`.
        """
        _, params = self._engine.dialect.create_connect_args(self.url)
        apart = BoundedConnection.open(
            self._resolve, **params, **self._connect_args, autocommit=True
        )
        apart.answer_s = self._answer_s + _SERVER_FIRST_S
        return apart

    def close(self) -> None:
        """Close all pooled connections."""
        self._engine.dispose()


def stream(
    connection: Connection, query: str, parameters: Mapping[str, Any], batch: int
) -> Iterator[tuple[Any, ...]]:
    """The rows of a query, fetched `batch` at a time as they are asked for.

    In the driver's own words (`%(name)s`), and in its binary form, which is half as
    long for bytes. One at a time in a transaction.
    """
    raw = connection.connection.driver_connection
    assert isinstance(raw, BoundedConnection)  # noqa: S101 - the engine makes no other
    with raw.cursor(name="stream", binary=True) as cursor:
        cursor.itersize = batch
        cursor.execute(query.encode(), parameters)
        yield from cursor


def _leave_aside(notification: psycopg.Notify) -> None:
    """Let a notification go: kept by psycopg, they would become ever more."""
    del notification


def give_time(connection: Connection, answer_s: float) -> None:
    """Let each statement of a transaction take so long: it has much to do."""
    raw = connection.connection.driver_connection
    if isinstance(raw, BoundedConnection):
        raw.answer_s = answer_s + _SERVER_FIRST_S
    connection.execute(text(f"SET LOCAL statement_timeout = {answer_s * 1000:.0f}"))


def _wait_for_ever(connection: Connection) -> None:
    raw = connection.connection.driver_connection
    if isinstance(raw, BoundedConnection):
        raw.answer_s = None
    connection.execute(text("SET LOCAL statement_timeout = 0"))


def _is_silence(error: DBAPIError) -> bool:
    """Whether the server did not answer, rather than refuse or cancel something."""
    return isinstance(error.orig, NoAnswer | psycopg.errors.ConnectionTimeout)


def _only_where_it_says(url: URL) -> dict[str, str]:
    """What keeps PGHOSTADDR, where it is set, from leading elsewhere than the URL."""
    names_host = bool(url.host) or "host" in url.query
    return {"hostaddr": ""} if names_host and "hostaddr" not in url.query else {}
