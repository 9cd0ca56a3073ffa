"""The real servers that tests run against: named ones, or our own from wheels."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """The URL of a PostgreSQL that lives as long as the block."""
    named = os.environ.get("HOLDFAST_TEST_DATABASE_URL")
    if named:
        yield named
        return
    raise NotImplementedError(folder)
