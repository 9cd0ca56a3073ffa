"""An API over real HTTP for what finance does, and a month of business behind it."""

from collections.abc import Iterator

import pytest

from tests.api.conftest import Api, serving


@pytest.fixture
def settings() -> dict[str, object]:
    """What a test sets beside the usual."""
    return {}


@pytest.fixture
def api(database_url: str, tmp_path, settings: dict[str, object]) -> Iterator[Api]:
    with serving(database_url, tmp_path, settings) as served:
        yield served
