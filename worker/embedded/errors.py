"""What can keep the embedded servers from running.

EmbeddedError
├── HomeInUse    somebody else runs servers in this home
├── NoServer     neither a wheel nor the system has the server's program
├── NotPrepared  what the database lacks could not be done; it was said why
└── StartFailed  a program did not become ready; its last lines say why
"""

from worker.infrastructure.errors import WorkerError


class EmbeddedError(WorkerError):
    """The servers of a home cannot run."""


class HomeInUse(EmbeddedError):
    """Somebody else runs servers in this home."""


class NoServer(EmbeddedError):
    """A server's program is nowhere to be found."""


class StartFailed(EmbeddedError):
    """A program did not become ready in time, or ended instead."""


class NotPrepared(EmbeddedError):
    """What the database lacks could not be done; whoever tried has said why."""

    def __init__(self, status: int) -> None:
        super().__init__(f"preparing the database ended with {status}")
        self.status = status
