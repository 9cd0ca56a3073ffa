"""Files on the command line whose columns are called otherwise."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pricing.plans import PaymentTerm
from storage.database import Database
from tests.support.stored_jobs import make_license
from tests.support.terminals import WarmTerminal
from worker.embedded.home import remove_home

_HUBSPOT = (
    "Record ID - Contact,First Name,Record ID - Company,Email\n"
    "1,Ada,c1,ada@acme.com\n"
    "2,Ben,,ben@brio.com\n"
)
_EXIT_BAD = 2


@pytest.fixture
def terminal(
    database: Database, database_url: str, tmp_path: Path
) -> Iterator[WarmTerminal]:
    with database.transaction() as connection:
        make_license(connection, term=PaymentTerm.MONTHLY)
    terminal = WarmTerminal(tmp_path / "home", database_url)
    yield terminal
    remove_home(terminal.home)


@pytest.fixture
def contacts(tmp_path: Path) -> str:
    path = tmp_path / "contacts.csv"
    path.write_text(_HUBSPOT)
    return str(path)


_QUOTE = ("--license", "acme", "--user", "u")
_MAP = ("--map", "company_id=Record ID - Company")


def test_a_missing_column_is_named_as_it_would_be_typed_and_then_taken(
    terminal, contacts
):
    missing = terminal.run("quote", contacts, *_QUOTE)
    hint = 'company_id could be "Record ID - Company": '
    assert missing.returncode == _EXIT_BAD
    assert f'{hint}--map company_id="Record ID - Company"' in missing.stderr
    as_json = terminal.run("quote", contacts, *_QUOTE, "--json")
    assert hint in json.loads(as_json.stderr)["errors"][0]["message"]

    bad = terminal.run("quote", contacts, *_QUOTE, *_MAP)
    assert bad.stderr.strip() == "line 3: company_id: is empty"
    quoted = terminal.answer("quote", contacts, *_QUOTE, *_MAP, "--skip-bad")
    assert (quoted["records"], quoted["taken"]) == (1, {"First Name": "first_name"})
    told = terminal.run("quote", contacts, *_QUOTE, *_MAP, "--skip-bad")
    assert "1 problems; what has one is left out" in told.stdout
    assert quoted["problems_total"] == 1


def test_a_file_is_shown_and_then_kept_by_ids_that_are_derived(terminal, contacts):
    shown = terminal.run("upload", contacts, "--license", "acme", "--inspect")
    assert "HubSpot's export of contacts with their companies" in shown.stdout
    assert '"Email"' in shown.stdout
    seen = terminal.answer("upload", contacts, "--license", "acme", "--inspect")
    assert "id" not in seen
    derive = ("--derive", "company_id=domain:Email", "--fixed", "source=fair")
    kept = terminal.answer("upload", contacts, "--license", "acme", *derive)
    assert (kept["records"], kept["derived"]["companies"]) == (2, 2)
    told = terminal.run("quote", contacts, *_QUOTE, *derive)
    assert "ids were derived in 2 records for the company" in told.stdout


def test_what_is_said_of_columns_and_cannot_be_is_refused(terminal, contacts):
    for words, message in (
        (("--map", "company_id"), "map: 'company_id' has no field: FIELD=..."),
        ((*_MAP, *_MAP), "map: company_id is said twice"),
        (("--fixed", "company_id=x"), "company_id: cannot be a fixed value"),
        (("--derive", "company_id=domain"), "derive: company_id=domain lacks its"),
        (("--upload-template", "none"), "there is no upload template 'none'"),
    ):
        refused = terminal.run("quote", contacts, *_QUOTE, *words)
        assert refused.returncode != 0
        assert message in refused.stderr
