"""The database: one engine, and the one place that commits."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy.engine import URL

_open: ContextVar[bool] = ContextVar("transaction_open", default=False)


def transaction_open() -> bool:
    """Whether a transaction is open here: then nothing may wait for the network."""
    return _open.get()


class Database:
    """One PostgreSQL, through a pool of connections.

    `clock_offset_s` shifts business time (windows, periods, expiries), never leases.
    A transaction that stands still for `idle_s` is ended: a worker that froze inside
    one must let go of its locks.
    """

    def __init__(
        self,
        url: str,
        *,
        clock_offset_s: float = 0,
        idle_s: float = 60,
        pool: int = 5,
    ) -> None:
        self.url: URL = make_url(url)
        self._engine = create_engine(
            self.url,
            isolation_level="READ COMMITTED",
            # A server that restarted must not cost the first request after it.
            pool_pre_ping=True,
            pool_size=pool,
            max_overflow=pool,
            connect_args={
                **_only_where_it_says(self.url),
                "application_name": "holdfast",
                "connect_timeout": 10,
                "options": (
                    f"-c holdfast.clock_offset_s={clock_offset_s} "
                    # Waiting longer means something hangs; the caller retries.
                    "-c lock_timeout=30s "
                    f"-c idle_in_transaction_session_timeout={idle_s * 1000:.0f} "
                    "-c timezone=UTC"
                ),
            },
        )

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Commit what happens inside, or nothing where it raises.

        Transactions do not nest; a function that is given a connection never ends it.
        """
        if _open.get():
            raise RuntimeError("a transaction is already open here")
        with self._engine.begin() as connection:
            mark = _open.set(True)
            try:
                yield connection
            finally:
                _open.reset(mark)

    def close(self) -> None:
        """Close all pooled connections."""
        self._engine.dispose()


def _only_where_it_says(url: URL) -> dict[str, str]:
    """What keeps PGHOSTADDR, where it is set, from leading elsewhere than the URL."""
    names_host = bool(url.host) or "host" in url.query
    return {"hostaddr": ""} if names_host and "hostaddr" not in url.query else {}
