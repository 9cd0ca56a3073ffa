"""A fleet for each test: its own database, its own broker or a named one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.brokers import KINDS, Broker, broker_of
from tests.support.fleet import Fleet, fleet_of


@pytest.fixture(params=KINDS)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    """A running broker."""
    with broker_of(request.param, tmp_path / "broker") as running:
        yield running


@pytest.fixture
def fleet(database_url: str, broker: Broker, tmp_path: Path) -> Iterator[Fleet]:
    """Workers and dispatchers to be started; each of them ends with the test."""
    with fleet_of(tmp_path / "fleet", database_url, broker.url) as fleet:
        yield fleet
