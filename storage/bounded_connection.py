"""A connection to PostgreSQL whose every wait ends, whatever the server does.

A server that was stopped, or cut off by what lets nothing through, answers nothing and
closes nothing: the kernel on its side goes on to confirm what it is sent. Only the
client's own clock ends that.
"""

import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Self

import psycopg
from sqlalchemy.exc import OperationalError

Resolve = Callable[[str, int], Sequence[str]]
"""All addresses that a name has, in bounded time. Raises `OSError`."""

CONNECT_S = 5
"""For a connection to be made, and for one from the pool to show that it still is."""

_REST_S = 2.0
_MOMENT_S = 0.1


class NoAnswer(psycopg.OperationalError):
    """The server did not answer in time."""


class BoundedConnection(psycopg.Connection[Any]):
    """Waits `answer_s` at most for each answer, and is closed where none comes."""

    answer_s: float | None = None
    _answered_s = 0.0

    @property
    def has_just_answered(self) -> bool:
        """Whether the server was there a moment ago, sooner than one restarts."""
        return time.monotonic() - self._answered_s < _MOMENT_S

    def answers(self) -> bool:
        """Whether the server is still there."""
        commits_itself = self.autocommit
        try:
            # Not in a transaction, which would have to be begun and ended.
            self.autocommit = True
            self.execute("")
            self.autocommit = commits_itself
        except psycopg.Error:
            return False
        else:
            return True

    def wait(
        self,
        gen: Any,  # noqa: ANN401 - psycopg's own
        interval: float = 0.1,
        timeout: float | None = None,
    ) -> Any:  # noqa: ANN401 - the same
        """What psycopg waits for, within its bound or ours."""
        if timeout is not None or self.answer_s is None:
            return super().wait(gen, interval, timeout)
        give_up_s = time.monotonic() + self.answer_s
        try:
            answer = super().wait(gen, interval, self.answer_s)
        except psycopg.OperationalError as error:
            if time.monotonic() < give_up_s:
                raise
            # What comes later would be taken for the answer to the next question.
            self.close()
            raise NoAnswer(f"no answer within {self.answer_s:g} s") from error
        self._answered_s = time.monotonic()
        return answer

    @classmethod
    def open(cls, resolve: Resolve | None, **params: Any) -> Self:  # noqa: ANN401 - libpq's own
        """Connect, to addresses that were found in bounded time."""
        connection = cls.connect(**_addressed(resolve, params))
        connection._answered_s = time.monotonic()  # noqa: SLF001 - its own
        return connection


def _addressed(resolve: Resolve | None, params: dict[str, Any]) -> dict[str, Any]:
    """The parameters with the addresses of a host that has a name."""
    host = str(params.get("host") or "")
    is_name = host and not host.startswith(("/", "@")) and "," not in host
    if resolve is None or not is_name or params.get("hostaddr"):
        return params
    try:
        found = resolve(host, int(params.get("port") or 5432))
    except OSError as error:
        raise NoAnswer(f"{host}: {error}") from error
    hosts, addresses = ",".join([host] * len(found)), ",".join(found)
    return params | {"host": hosts, "hostaddr": addresses}


class Silence:
    """Remembers that the server did not answer: one asks now and then, none waits.

    Whoever waits finds out first. For a moment after that everybody is told at once;
    then one may try again, and the others are told until the server is back.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._until_s: float | None = None

    def begin(self) -> None:
        """It did not answer."""
        with self._lock:
            self._until_s = time.monotonic() + _REST_S

    def end(self) -> None:
        """It did."""
        if self._until_s is not None:
            with self._lock:
                self._until_s = None

    def check(self) -> None:
        """Raise `OperationalError` where it is not to be asked now."""
        with self._lock:
            if self._until_s is None:
                return
            now_s = time.monotonic()
            if now_s >= self._until_s:
                self._until_s = now_s + CONNECT_S + _REST_S
                return
        raise OperationalError("", None, TimeoutError("the database does not answer"))
