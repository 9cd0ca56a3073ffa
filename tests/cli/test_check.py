"""`check`: each part of an installation is tried, and named where it does not do."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.terminals import WarmTerminal
from worker.embedded.home import remove_home

_PARTS = [
    *("settings", "database", "broker", "redis", "files", "clock", "providers", "keys")
]


@pytest.fixture
def terminal(database_url: str, tmp_path: Path) -> Iterator[WarmTerminal]:
    terminal = WarmTerminal(tmp_path / "home", database_url)
    yield terminal
    remove_home(terminal.home)


def _checks(done) -> dict[str, dict[str, object]]:
    answer = json.loads(done.stdout)
    assert [one["part"] for one in answer["checks"]] == _PARTS
    assert answer["ok"] == (done.returncode == 0)
    return {one["part"]: one for one in answer["checks"]}


def test_an_installation_that_does_is_named_part_by_part(terminal):
    done = terminal.run("check", "--json")
    checks = _checks(done)
    assert all(one["ok"] for one in checks.values()), checks
    assert "PostgreSQL" in str(checks["database"]["detail"])
    assert not any((terminal.home / "files").rglob("*.*"))


def test_each_part_that_does_not_do_is_named_and_hides_no_other(database_url, tmp_path):
    terminal = WarmTerminal(
        tmp_path / "home",
        database_url,
        BROKER_URL="redis://us:hush@127.0.0.1:1/0",
        PROVIDERS="directory,hunter",
        ARTIFACTS_URL="file:///dev/null/files",
        LEASES="4",
    )
    done = terminal.run("check", "--json")
    assert done.returncode == 1
    checks = _checks(done)
    failed = {part: str(one["detail"]) for part, one in checks.items() if not one["ok"]}
    assert failed.keys() == {"settings", "broker", "redis", "files", "providers"}
    assert "HOLDFAST_LEASE_S" in failed["settings"]
    assert "HOLDFAST_HUNTER_KEY" in failed["providers"]
    assert "hush" not in done.stdout
