"""Bulk exports on the command line: the same bytes as by the API."""

import pytest

from tests.support.bookkeeping import beancount_errors
from tests.support.terminals import WarmTerminal
from worker.embedded.home import remove_home


@pytest.fixture
def terminal(database_url, tmp_path):
    terminal = WarmTerminal(tmp_path / "home", database_url)
    yield terminal
    remove_home(terminal.home)


def test_a_dataset_and_a_journal_are_written_as_the_api_sends_them(
    api, terminal, month, tmp_path
):
    period = ("--period", month.starts_at)
    rows, journal = tmp_path / "charges.csv", tmp_path / "month.beancount"
    told = terminal.answer(
        "warehouse", "charges", *period, "--format", "csv", "--out", str(rows)
    )
    asked = {"period": month.starts_at, "format": "csv"}
    assert rows.read_bytes() == api.admin.get("/v1/charges", params=asked).content
    assert told == {"out": str(rows), "bytes": rows.stat().st_size}
    terminal.answer("journal", *period, "--out", str(journal))
    assert beancount_errors(journal) == ""
