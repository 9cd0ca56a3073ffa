"""Statements and closing on the command line: the same as by the API, and as files."""

import csv
import io
import json
import signal
from concurrent.futures import ThreadPoolExecutor

import openpyxl
import pypdf
import pytest
from sqlalchemy import text

from tests.support.business_time import DAY_S, shift_to
from tests.support.months import Month, make_month
from tests.support.terminals import WarmTerminal
from worker.embedded.home import remove_home
from worker.finance.chain.sealer import seal
from worker.finance.statements.period_close import StatementFreezer


@pytest.fixture
def terminal(database_url, tmp_path):
    terminal = WarmTerminal(tmp_path / "home", database_url)
    yield terminal
    remove_home(terminal.home)


@pytest.fixture
def month(api) -> Month:
    return make_month(api)


def _of_api(api, month: Month):
    query = {"period": month.starts_at}
    return api.admin.get("/v1/licenses/acme/statement", params=query).json()


def test_a_statement_is_answered_as_by_the_api(api, terminal, month):
    told = terminal.answer("statement", "acme", "--period", month.starts_at)
    assert told == _of_api(api, month)


def test_it_is_written_in_the_format_that_its_name_ends_in(
    api, terminal, month, tmp_path
):
    spent = _of_api(api, month)["closing"]["spent"]
    for extension in ("json", "csv", "xlsx", "pdf"):
        out = tmp_path / f"statement.{extension}"
        terminal.answer(
            "statement", "acme", "--period", month.starts_at, "--out", str(out)
        )
        assert _spent_of(extension, out.read_bytes()) == spent


def _spent_of(extension: str, data: bytes) -> int:
    if extension == "json":
        return int(json.loads(data)["closing"]["spent"])
    if extension == "csv":
        rows = list(csv.DictReader(io.StringIO(data.decode())))
        (closing,) = [row for row in rows if row["section"] == "closing"]
        return int(closing["spent"])
    if extension == "xlsx":
        sheet = openpyxl.load_workbook(io.BytesIO(data)).worksheets[0]
        rows_ = list(sheet.iter_rows(values_only=True))
        (row,) = [row for row in rows_ if row[0] == "closing"]
        return int(str(row[rows_[0].index("spent")]))
    text = "".join(p.extract_text() for p in pypdf.PdfReader(io.BytesIO(data)).pages)
    (line,) = [line for line in text.splitlines() if line.startswith("closing")]
    return int(line.split()[3])


@pytest.mark.parametrize("name", ["statement", "statement.txt", "no/such/folder.csv"])
def test_a_file_without_a_known_format_or_folder_is_bad_input(
    terminal, month, tmp_path, name
):
    done = terminal.run("statement", "acme", "--out", str(tmp_path / name))
    assert done.returncode == 2
    assert not (tmp_path / name).exists()


def test_a_period_is_closed_once_and_answered_again(api, terminal, month):
    closed = terminal.answer(
        "periods", "close", "acme", month.starts_at, "--reason", "the month is over"
    )
    assert closed["frozen_at"] is not None
    assert terminal.answer("periods", "close", "acme", month.starts_at) == closed
    assert _of_api(api, month) == closed
    noted = terminal.answer("actions", "--license", "acme")["items"]
    closed_by = [one["reason"] for one in noted if one["verb"] == "close_period"]
    assert closed_by == ["the month is over"]


def test_a_close_that_is_killed_before_it_is_frozen_is_seen_through(
    api, terminal, month
):
    database = api.deps.database
    words = ("periods", "close", "acme", month.starts_at)
    with ThreadPoolExecutor(1) as threads, database.transaction() as sealing:
        # As long as another seals, it is closed and cannot be frozen.
        sealing.execute(text("LOCK TABLE chain_runs IN SHARE UPDATE EXCLUSIVE MODE"))
        closing = terminal.begin(*words)
        threads.submit(_wait_until_closed, database).result(timeout=60)
        closing.kill()
        closing.communicate(timeout=30)
    assert closing.returncode == -signal.SIGKILL
    assert _of_api(api, month)["frozen_at"] is None
    seal(api.deps)
    StatementFreezer(api.deps).turn()
    frozen = _of_api(api, month)
    assert frozen["frozen_at"] is not None
    assert terminal.answer(*words) == frozen
    with database.reading() as connection:
        runs = connection.execute(text("SELECT count(*) FROM statements"))
        assert runs.scalar_one() == 1


def _wait_until_closed(database) -> None:
    closed = text("SELECT count(*) FROM periods WHERE closed_at IS NOT NULL")
    while True:
        with database.reading() as connection:
            if connection.execute(closed).scalar_one():
                return


def test_what_runs_is_refused_with_exit_1(api, terminal, month):
    shift_to(api.deps.database, 33 * DAY_S)
    now = api.admin.get("/v1/licenses/acme/balance").json()["period"]["starts_at"]
    done = terminal.run("periods", "close", "acme", now)
    assert done.returncode == 1
    assert "ends at" in done.stderr
