"""A gate: children that are started ahead of what they need wait before it.

What takes a process longest is to import what it is made of. So all of them begin to at
once, and do no more until they may: they read from a pipe that ends when it is opened.
"""

import os


class Gate:
    """Closed, until it is opened once for all; `fd` is what children read."""

    def __init__(self) -> None:
        self.fd, self._closed = os.pipe()

    def open(self) -> None:
        """Let all go on, and whoever is started from now on."""
        if self._closed >= 0:
            os.close(self._closed)
            self._closed = -1

    def close(self) -> None:
        """Give it up."""
        self.open()
        os.close(self.fd)
