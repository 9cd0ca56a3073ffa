"""A run keeps each measurement when it is done, and none whose totals differ."""

from typing import Any

import pytest

from bench import suite
from bench.installations.builds import Build
from bench.installations.installation import Differs
from bench.measurements import session
from bench.report.figures import Figure, Section
from bench.report.sizes import Sizes

SECTION = Section(title="A", sizes="1", figures=[Figure(what="a", values=[1.0])])


@pytest.fixture(autouse=True)
def build(monkeypatch, tmp_path):
    monkeypatch.setattr(session, "this_build", lambda: Build(tmp_path, "abc"))


def _finds(_):
    return SECTION


def _differs(_):
    raise Differs("settled is 3, not 4")


def _fails(_):
    raise RuntimeError("the server is gone")


def test_what_differs_is_named_and_not_kept(monkeypatch, capsys):
    measurements = {
        "good": lambda _: SECTION,
        "bad": _differs,
        "last": lambda _: SECTION,
    }
    monkeypatch.setattr(suite, "MEASUREMENTS", measurements)
    kept: dict[str, Any] = {}
    assert suite.run(list(measurements), Sizes(), None, kept.update) == ["bad"]
    assert list(kept) == ["good", "last"]
    assert kept["good"]["run"]["commit"] == "abc"
    assert "does not count: settled is 3, not 4" in capsys.readouterr().out


def test_what_was_measured_before_a_failure_is_kept(monkeypatch):
    measurements = {"good": _finds, "bad": _fails}
    monkeypatch.setattr(suite, "MEASUREMENTS", measurements)
    kept: dict[str, Any] = {}
    with pytest.raises(RuntimeError, match="server is gone"):
        suite.run(list(measurements), Sizes(), None, kept.update)
    assert list(kept) == ["good"]


def test_directories_know_all_persons_of_the_largest_measurement():
    sizes = Sizes(records=100, small=10, beside=300, big=1000)
    assert suite.persons_of(["export"], sizes) == 100
    assert suite.persons_of(["export", "latency"], sizes) == 300
    assert suite.persons_of(["growth", "latency"], sizes) == 1000


def test_a_share_of_all_sizes_leaves_the_rounds():
    scaled = Sizes(rounds=3, records=1000, big=5000).scaled(0.1)
    assert (scaled.rounds, scaled.records, scaled.big) == (3, 100, 500)
