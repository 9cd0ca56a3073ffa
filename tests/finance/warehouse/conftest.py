"""An API over real HTTP, and a month of business with all kinds of transfers."""

from collections.abc import Iterator

import pytest

from tests.api.conftest import Api, serving
from tests.support.months import Month, make_month


@pytest.fixture
def api(database_url: str, tmp_path) -> Iterator[Api]:
    with serving(database_url, tmp_path, {}) as served:
        yield served


@pytest.fixture
def month(api) -> Month:
    return make_month(api)
