"""Names become addresses in bounded time, whatever the machine's resolver does.

The resolver cannot be interrupted: whoever asks it must wait elsewhere. A thread asks,
one for each name; who wants to know waits for it as long as he can, and leaves. A name
that was not found in time is refused at once until its thread comes back, and where
all threads are out none waits: the next one would not be answered either.
"""

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from ipaddress import ip_address

Lookup = Callable[[str, int], list[str]]
"""All addresses that a name has, whenever that is known. Raises `OSError`."""

_WITHIN_S = 5.0
_THREADS_MAX = 16


def ask_machine(host: str, port: int) -> list[str]:
    """What the machine's own resolver says, which also reads 127.1 and 2130706433."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError("this cannot be a name") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Resolver:
    """Asks in at most so many threads, which end with the process."""

    def __init__(
        self, lookup: Lookup = ask_machine, *, threads_max: int = _THREADS_MAX
    ) -> None:
        self._lookup = lookup
        self._threads_max = threads_max
        self._lock = threading.Lock()
        self._asked: dict[tuple[str, int], Future[list[str]]] = {}
        self._late: set[tuple[str, int]] = set()

    def resolve(
        self, host: str, port: int, *, within_s: float = _WITHIN_S
    ) -> list[str]:
        """All addresses of a name. Raises `OSError` where none are known in time."""
        if is_address(host):
            return [host]
        name = host, port
        future = self._ask(name)
        try:
            return list(future.result(within_s))
        except NotYet:
            # A resolver may have said so itself.
            if future.done():
                raise
            raise self._late_for(name) from None

    async def resolve_in_loop(
        self, host: str, port: int, *, within_s: float = _WITHIN_S
    ) -> list[str]:
        """The same for coroutines, which wait beside each other."""
        if is_address(host):
            return [host]
        name = host, port
        future = asyncio.wrap_future(self._ask(name))
        done, _ = await asyncio.wait([future], timeout=within_s)
        if not done:
            raise self._late_for(name)
        return list(future.result())

    def _late_for(self, name: tuple[str, int]) -> OSError:
        with self._lock:
            if name in self._asked:
                self._late.add(name)
        return OSError("the name was not resolved in time")

    def _ask(self, name: tuple[str, int]) -> Future[list[str]]:
        with self._lock:
            if name in self._late:
                raise OSError("the name is not being resolved")
            if (asked := self._asked.get(name)) is not None:
                return asked
            if len(self._asked) >= self._threads_max:
                raise OSError("the resolver does not answer")
            future = self._asked[name] = Future()
        threading.Thread(
            target=self._run, args=(name, future), name="resolver", daemon=True
        ).start()
        return future

    def _run(self, name: tuple[str, int], future: Future[list[str]]) -> None:
        try:
            found = self._lookup(*name)
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            self._forget(name)
            future.set_exception(error)
        else:
            self._forget(name)
            future.set_result(found)

    def _forget(self, name: tuple[str, int]) -> None:
        with self._lock:
            self._asked.pop(name, None)
            self._late.discard(name)


def is_address(host: str) -> bool:
    """Whether a host is an address already."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


SHARED = Resolver()
"""The one that all of a process ask, so that one finds out and the others know."""


def _begin_anew() -> None:
    # The threads stayed with the parent, and whoever held the lock as well.
    SHARED.__init__(threads_max=_THREADS_MAX)  # type: ignore[misc]


os.register_at_fork(after_in_child=_begin_anew)


def resolve(host: str, port: int, within_s: float = _WITHIN_S) -> list[str]:
    """All addresses of a name, by the resolver that a whole process shares."""
    return SHARED.resolve(host, port, within_s=within_s)
