"""The sandbox as those meet it who know the vendors, and not us."""

from collections.abc import Iterator

import pytest

from tests.support.sandboxes import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    box = Sandbox()
    yield box
    box.close()
