"""A way to a server that can begin to swallow what is sent, and closes nothing."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PIECE = 65_536


class SilentProxy:
    """Passes on what comes until it is silent; `port` is where it listens."""

    def __init__(
        self, listening: socket.socket, address: str | tuple[str, int]
    ) -> None:
        self.port: int = listening.getsockname()[1]
        self.is_silent = False
        self._listening = listening
        self._address = address
        self._open: list[socket.socket] = []

    def serve(self) -> None:
        """Take connections until it is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                family = (
                    socket.AF_UNIX if isinstance(self._address, str) else socket.AF_INET
                )
                server = socket.socket(family)
                server.connect(self._address)
                self._open += [client, server]
                for one, other in ((client, server), (server, client)):
                    threading.Thread(
                        target=self._pass_on, args=(one, other), daemon=True
                    ).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := one.recv(_PIECE):
                if not self.is_silent:
                    other.sendall(piece)
        if not self.is_silent:
            other.close()

    def close(self) -> None:
        """Close everything."""
        for one in (self._listening, *self._open):
            one.close()


@contextmanager
def proxy_to(address: str | tuple[str, int]) -> Iterator[SilentProxy]:
    """A proxy to a socket of the file system, or to a host and port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        proxy = SilentProxy(listening, address)
        threading.Thread(target=proxy.serve, daemon=True).start()
        try:
            yield proxy
        finally:
            proxy.close()


@contextmanager
def silent_server() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listening:
        yield listening.getsockname()[1]
