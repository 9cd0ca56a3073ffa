"""Databases that the audit does not look at in the end."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from uuid import uuid4

import pytest

from storage.database import Database
from tests import conftest


@pytest.fixture
def empty_database(server) -> Iterator[Database]:
    """A database without any table."""
    with conftest.empty_database(server) as url, closing(Database(url)) as database:
        yield database


@contextmanager
def _copy(server: str, template: str) -> Iterator[Database]:
    name = f"{template}_{uuid4().hex[:8]}"
    conftest._administrate(server, "CREATE DATABASE {} TEMPLATE {}", name, template)
    try:
        with closing(Database(conftest._url(server, name))) as database:
            yield database
    finally:
        conftest._administrate(server, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
def broken_database(server, template) -> Iterator[Database]:
    """A migrated database whose promises the test breaks on purpose."""
    with _copy(server, template) as database:
        yield database


@pytest.fixture(scope="module")
def shared_database(server, template) -> Iterator[Database]:
    """A migrated database for a module whose tests leave it as they found it."""
    with _copy(server, template) as database:
        yield database
