"""The rules of the house, held by the code itself."""

import pytest


def test_placeholder():
    pytest.importorskip("storage")
