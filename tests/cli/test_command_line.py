"""The command line as a process: its answers, its exit status, what it refuses."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from pyarrow import parquet as arrow
from sqlalchemy import text

from pricing.plans import PaymentTerm
from storage.database import Database
from storage.tables import metadata
from tests.support.stored_jobs import make_job, make_license
from tests.support.terminals import WarmTerminal
from worker.embedded.home import remove_home

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


def _rows(database) -> dict[str, int]:
    with database.transaction() as connection:
        return {
            name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()
            for name in metadata.tables
        }


def _quote(terminal: WarmTerminal, contacts: Path, *words: str) -> tuple[str, ...]:
    return ("quote", str(contacts), "--license", "acme", "--user", "u", *words)


_BAD_FILES = {
    "a missing column": (
        b"name\nx\n",
        "line 1: company_id: the column is missing; there are name",
    ),
    "a doubled column": (
        b"company_id,x,x\nc,1,2\n",
        "line 1: x: the column is there twice",
    ),
    "an empty file": (b"", "line 1: the file is empty: a header line is missing"),
    "no records": (b"company_id\n", "there are no records"),
    "a broken encoding": (
        b"company_id,company_name\nc1,ok\nc2,caf\xe9\n",
        "line 3: company_name: is not valid UTF-8",
    ),
    "a person without a company": (
        b"company_id,person_id\nc1,p1\n,p2\n",
        "line 3: company_id: is empty: a person needs its company",
    ),
    "an id of 10 kB": (
        b"company_id\n" + b"c" * 10_000 + b"\n",
        "line 2: company_id: is 10000 characters long; at most 200 are allowed",
    ),
    "a row that is too short": (
        b"company_id,person_id\nc1\n",
        "line 2: has 1 fields, the header has 2",
    ),
}


@pytest.mark.parametrize("case", _BAD_FILES)
def test_a_bad_file_is_named_by_line_and_field_and_changes_nothing(
    terminal, database, tmp_path, case
):
    data, message = _BAD_FILES[case]
    contacts = tmp_path / "contacts.csv"
    contacts.write_bytes(data)
    rows, files = _rows(database), terminal.files()
    done = terminal.run(*_quote(terminal, contacts))
    assert (done.returncode, done.stderr.strip()) == (_EXIT_BAD, message)
    assert done.stdout == ""
    assert (_rows(database), terminal.files()) == (rows, files)


def test_all_problems_are_counted_and_the_first_hundred_named(terminal, tmp_path):
    contacts = tmp_path / "contacts.csv"
    contacts.write_text("company_id,person_id\n" + ",p\n" * 250)
    done = terminal.run(*_quote(terminal, contacts, "--json"))
    problem = json.loads(done.stderr)
    assert (done.returncode, done.stdout) == (_EXIT_BAD, "")
    assert (problem["code"], problem["errors_total"]) == ("invalid_request", 250)
    assert len(problem["errors"]) == 100
    assert problem["errors"][0]["line"] == 2
    assert problem["errors"][0]["field"] == "company_id"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("top-up", "acme", "-5", "--reference", "r"), "credits: must be 1 to"),
        (("top-up", "acme", "0", "--reference", "r"), "credits: must be 1 to"),
        (("license", "create", "x", "--name", "X", "--plan", "V9"), "'V9' is not one"),
        (("export", "/nowhere.csv", "--license", "acme", "--user", "u"), "nowhere.csv"),
        (("balance",), "Missing argument 'LICENSE'"),
        (("fly",), "No such command 'fly'"),
    ],
)
def test_a_bad_request_says_what_is_wrong_and_changes_nothing(
    terminal, database, words, message
):
    rows = _rows(database)
    done = terminal.run(*words)
    assert (done.returncode, done.stdout) == (_EXIT_BAD, "")
    assert message in done.stderr
    assert _rows(database) == rows


def test_only_with_needs_email_in_retrieve(terminal, tmp_path):
    contacts = tmp_path / "contacts.csv"
    contacts.write_text("company_id,person_id\nc1,p1\n")
    done = terminal.run(*_quote(terminal, contacts, "--only-with", "email"))
    assert done.returncode == _EXIT_BAD
    assert "only_with: needs email in retrieve" in done.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("balance", "nobody"), "not_found"),
        (("job", "job_x"), "not_found"),
        (("cancel", "job_x"), "not_found"),
    ],
)
def test_what_is_not_there_is_refused_with_a_stable_code(terminal, words, code):
    done = terminal.run(*words, "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert json.loads(done.stderr)["code"] == code


def test_a_full_disk_fails_without_keeping_anything(terminal, database, tmp_path):
    contacts = tmp_path / "contacts.csv"
    with contacts.open("w") as out:
        csv.writer(out).writerows([["company_id"], *([f"c{n}"] for n in range(9_000))])
    rows, files = _rows(database), terminal.files()
    done = terminal.run(*_quote(terminal, contacts), file_bytes_max=20_000)
    assert done.returncode == 1
    assert "no room left for" in done.stderr
    assert (_rows(database), terminal.files()) == (rows, files)


def test_the_same_license_again_is_answered_and_another_is_refused(terminal):
    words = ("license", "create", "acme", "--plan", "V2", "--payment-term", "monthly")
    again = terminal.answer(*words, "--name", "Acme", "--credits", "500")
    assert again["id"] == "acme"
    other = terminal.run(*words, "--name", "Acme", "--credits", "501", "--json")
    assert other.returncode == 1
    assert json.loads(other.stderr)["code"] == "already_exists"


def test_a_top_up_counts_once_for_its_reference(terminal):
    for _ in range(2):
        found = terminal.answer("top-up", "acme", "50", "--reference", "invoice 7")
        assert found["available"] == 550
    other = terminal.run("top-up", "acme", "51", "--reference", "invoice 7", "--json")
    assert json.loads(other.stderr)["code"] == "already_exists"


def test_a_quote_is_answered_with_its_lines_even_where_it_cannot_be_paid(
    terminal, tmp_path
):
    contacts = tmp_path / "contacts.csv"
    contacts.write_text(
        "company_id,person_id\n" + "".join(f"c{n},p{n}\n" for n in range(200))
    )
    found = terminal.answer(*_quote(terminal, contacts, "--retrieve", "email,phone"))
    assert found["max_credits"] == 800
    assert (found["available"], found["affordable"]) == (500, False)
    assert found["fits_records"] == 125
    assert found["lines"] == [
        {"item": item, "count": 200, "free": 0, "unit_credits": unit, "credits": total}
        for item, unit, total in (
            ("company", 1, 200),
            ("email", 1, 200),
            ("phone", 2, 400),
        )
    ]
    export = terminal.run(
        "export", *_quote(terminal, contacts, "--retrieve", "phone,email", "--json")[1:]
    )
    assert export.returncode == 1
    refusal = json.loads(export.stderr.splitlines()[-1])
    assert refusal["code"] == "insufficient_credits"
    assert refusal["available"] == 500
    assert refusal["needed"] == 800
    assert refusal["fits_records"] == 125


@pytest.mark.slow
def test_an_export_is_written_where_it_was_asked_for(terminal, tmp_path):
    contacts, out = tmp_path / "contacts.csv", tmp_path / "out.csv"
    contacts.write_text("company_id,company_name\nc1,One\nc2,Two\nc1,Again\n")
    words = ("export", str(contacts), "--license", "acme", "--user", "u")
    job = terminal.answer(*words, "--out", str(out), "--name", "Two companies")
    assert job["state"] == "succeeded"
    assert job["credits"] == {"reserved": 2, "settled": 2, "released": 0, "refunded": 0}
    assert out.read_bytes() == b"company_id,company_name\r\nc1,One\r\nc2,Two\r\n"
    assert terminal.answer("jobs", "--license", "acme")["items"] == [job]
    assert terminal.answer("job", job["id"]) == job
    ceiling = terminal.run(
        *words, "--max-credits", "0", "--retrieve", "email", "--json"
    )
    assert ceiling.returncode == 0, "both companies are free by now"


def _parquet(path: Path) -> None:
    arrow.write_table(
        pa.table(
            {"company_id": ["c1", "c2", "c1"], "company_name": ["One", "Two", ""]}
        ),
        path,
    )


def _lines(path: Path) -> None:
    companies = ({"id": "c1", "name": "One"}, {"id": "c2", "name": "Two"}, {"id": "c1"})
    path.write_text("".join(json.dumps({"company": c}) + "\n" for c in companies))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "write"), [("contacts.jsonl", _lines), ("CONTACTS.PARQUET", _parquet)]
)
def test_a_file_is_read_as_the_end_of_its_name_says(terminal, tmp_path, name, write):
    contacts, out = tmp_path / name, tmp_path / "out.csv"
    write(contacts)
    quoted = terminal.answer(*_quote(terminal, contacts))
    assert (quoted["max_credits"], quoted["records"], quoted["duplicates"]) == (2, 2, 1)
    words = ("export", str(contacts), "--license", "acme", "--user", "u")
    job = terminal.answer(*words, "--out", str(out))
    assert (job["state"], job["credits"]["settled"]) == ("succeeded", 2)
    with out.open(newline="") as written:
        rows = list(csv.DictReader(written))
    assert [(row["company_id"], row["company_name"]) for row in rows] == [
        ("c1", "One"),
        ("c2", "Two"),
    ]


_OTHER_FILES = {
    "contacts.doc": (b"", "which is none of"),
    "contacts.jsonl": (b'{"company": {"id": "c1"}}\n{\n', "line 2:"),
    "contacts.parquet": (b"no parquet", "cannot be read as Parquet"),
}


@pytest.mark.parametrize("name", _OTHER_FILES)
def test_a_file_that_is_not_what_its_name_says_is_bad_input(
    terminal, database, tmp_path, name
):
    data, message = _OTHER_FILES[name]
    contacts = tmp_path / name
    contacts.write_bytes(data)
    rows, files = _rows(database), terminal.files()
    done = terminal.run(*_quote(terminal, contacts))
    assert (done.returncode, done.stdout) == (_EXIT_BAD, "")
    assert message in done.stderr
    assert (_rows(database), terminal.files()) == (rows, files)


@pytest.mark.slow
def test_an_export_looks_as_it_was_asked_to(terminal, tmp_path):
    contacts, out = tmp_path / "contacts.csv", tmp_path / "out.csv"
    contacts.write_text('company_id,"last, name"\nc1,=1+1\n')
    words = ("export", str(contacts), "--license", "acme", "--user", "u")
    columns = '"last, name=Nom, prénom", company_id'
    looks = ("--profile", "excel_eu", "--columns", columns)
    job = terminal.answer(*words, *looks, "--out", str(out))
    assert job["file"]["name"].endswith(".csv")
    assert out.read_text(encoding="utf-8-sig") == "Nom, prénom;company_id\n'=1+1;c1\n"
    job = terminal.answer(*words, "--format", "xlsx", "--split-records", "100")
    assert job["file"]["name"].endswith(".zip")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--format", "pdf"), "'pdf' is not one of"),
        (("--format", "xlsx", "--profile", "excel"), "is for csv; xlsx has none"),
        (("--columns", "company_id,nope"), "'nope' is none of company_id"),
        (("--columns", ""), "columns: names no field"),
        (
            ("--columns", "company_id", "--retrieve", "email"),
            "export.columns: has no column for the e-mail",
        ),
    ],
)
def test_a_look_that_no_file_has_is_bad_input(
    terminal, database, tmp_path, words, message
):
    contacts, rows = tmp_path / "contacts.csv", _rows(database)
    contacts.write_text("company_id\nc1\n")
    done = terminal.run(*_quote(terminal, contacts, *words))
    assert (done.returncode, done.stdout) == (_EXIT_BAD, "")
    assert message in done.stderr
    assert _rows(database) == rows


def test_a_ceiling_refuses_what_would_cost_more(terminal, database, tmp_path):
    contacts = tmp_path / "contacts.csv"
    contacts.write_text("company_id\nc1\nc2\n")
    words = ("export", str(contacts), "--license", "acme", "--user", "u")
    done = terminal.run(*words, "--max-credits", "1", "--json")
    assert done.returncode == 1
    assert json.loads(done.stderr.splitlines()[-1])["code"] == "ceiling_exceeded"
    assert _rows(database)["jobs"] == 0


@pytest.mark.slow
def test_watching_prints_one_object_a_line(terminal, tmp_path):
    contacts = tmp_path / "contacts.csv"
    contacts.write_text("company_id\nc1\n")
    words = ("export", str(contacts), "--license", "acme", "--user", "u", "--watch")
    done = terminal.run(*words, "--json")
    assert done.returncode == 0, done.stderr
    states = [json.loads(line)["state"] for line in done.stdout.splitlines()]
    assert states[-1] == "succeeded"
    assert len(states) > 1


def test_the_directory_is_loaded_all_or_nothing(terminal, database, tmp_path):
    entries = tmp_path / "directory.jsonl"
    entries.write_text('{"person_id": "p1", "email": "a@b.c", "more": 1}\n{"x": 1}\n')
    done = terminal.run("directory", "load", str(entries))
    assert done.returncode == _EXIT_BAD
    assert done.stderr.strip() == "line 2: person_id: is missing or no text"
    assert _rows(database)["directory"] == 0
    entries.write_text('{"person_id": "p1", "email": "a@b.c", "more": 1}\n')
    loaded = terminal.answer("directory", "load", str(entries))
    assert loaded == {"persons": 1, "trimmed": 0}


def test_white_space_around_ids_is_left_out_and_told(terminal, tmp_path):
    contacts, entries = tmp_path / "contacts.csv", tmp_path / "directory.jsonl"
    contacts.write_text("company_id,person_id\nc1 ,p1\nc1, p1\nc1,\u2003p2\n")
    quoted = terminal.answer(*_quote(terminal, contacts))
    assert (quoted["records"], quoted["duplicates"], quoted["trimmed"]) == (2, 1, 3)
    told = terminal.run("quote", str(contacts), "--license", "acme", "--user", "u")
    assert "3 records had white space around an id" in told.stdout
    entries.write_text('{"person_id": " p1"}\n{"person_id": "p2"}\n')
    loaded = terminal.run("directory", "load", str(entries))
    assert loaded.stdout == "2 persons loaded, 1 with white space around their id\n"
    erased = terminal.answer("erase-person", " p1 ")
    assert (erased["person"], erased["erased"]["directory"]) == ("p1", 1)


def test_the_audit_of_a_sound_house_finds_nothing(terminal):
    assert terminal.answer("audit") == {"violations": []}


def test_without_a_broker_a_worker_says_which_setting_is_missing(terminal):
    done = terminal.run("worker")
    assert done.returncode == 1
    assert done.stderr.strip() == "unavailable: HOLDFAST_BROKER_URL is not set"


_PROVIDER = {"PROVIDERS": "directory,hunter", "HUNTER_KEY": "k"}


@pytest.mark.parametrize("name", ["worker", "api"])
def test_who_asks_providers_says_at_its_start_that_nothing_counts(
    database_url, tmp_path, name
):
    broker = {"BROKER_URL": "amqp://127.0.0.1:1"}
    done = WarmTerminal(tmp_path, database_url, **_PROVIDER, **broker).run(name)
    assert done.returncode == 1
    assert "HOLDFAST_REDIS_URL is not set: providers need it" in done.stderr


def test_who_asks_nobody_needs_nothing_that_counts(terminal, database_url):
    asking = WarmTerminal(terminal.home, database_url, **_PROVIDER)
    for words in (("balance", "acme"), ("audit",), ("jobs",)):
        done = asking.run(*words)
        assert done.returncode == 0, done.stderr


def test_home_and_json_stand_before_a_command_or_after_it(terminal, tmp_path):
    after = terminal.answer("license", "show", "acme")
    for words in (
        ("--json", "license", "show", "acme"),
        ("license", "--json", "show", "acme"),
    ):
        done = terminal.run(*words)
        assert (done.returncode, json.loads(done.stdout)) == (0, after), words
    contacts = tmp_path / "contacts.csv"
    contacts.write_text("company_id\nc1\n")
    elsewhere = tmp_path / "elsewhere"
    done = terminal.run("--home", str(elsewhere), *_quote(terminal, contacts))
    assert done.returncode == 0, done.stderr
    assert list(elsewhere.rglob("quote_*"))


def test_a_problem_names_a_line_and_a_field_only_where_there_is_one(terminal):
    done = terminal.run("top-up", "acme", "0", "--reference", "r", "--json")
    problem = json.loads(done.stderr)
    assert [list(error) for error in problem["errors"]] == [["field", "message"]]
    assert problem["detail"].startswith("credits: must be 1 to")


def test_a_ceiling_below_zero_is_bad_input(terminal, tmp_path):
    contacts = tmp_path / "contacts.csv"
    contacts.write_text("company_id\nc1\n")
    words = ("--license", "acme", "--user", "u", "--max-credits", "-1")
    done = terminal.run("export", str(contacts), *words)
    assert (done.returncode, done.stdout) == (_EXIT_BAD, "")


def test_the_clock_is_shown_confirmed_and_shifted_by_operators_alone(
    terminal, database
):
    with database.transaction() as connection:
        connection.execute(
            text("""
                UPDATE business_clock SET trusted_at = trusted_at - interval '40 days',
                       held_since = trusted_at - interval '40 days'""")
        )
    shown = terminal.answer("clock")
    assert (shown["state"], shown["offset_s"]) == ("held_back", 0)
    assert shown["business_time"] == shown["trusted"] == shown["held_since"]
    assert shown["ahead_s"] > 39 * 24 * 3600
    confirmed = terminal.answer("clock", "accept")
    assert (confirmed["state"], confirmed["held_since"]) == ("ok", None)
    shifted = terminal.answer("clock", "set-offset", "-86400")
    assert (shifted["state"], shifted["offset_s"]) == ("ok", -86400)
    assert shifted["raw"] < confirmed["raw"]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("clock", "set-offset", "nan"), _EXIT_BAD),
        (("periods", "reopen", "acme", "2026-02-01"), _EXIT_BAD),
        (("periods", "reopen", "acme", "1999-02-01T00:00:00Z"), 1),
    ],
)
def test_no_time_is_taken_that_is_none(terminal, words, status):
    done = terminal.run(*words, "--json")
    assert (done.returncode, done.stdout) == (status, "")
    assert set(json.loads(done.stderr)) >= {"code", "detail"}


def test_weight_and_priority_are_set_and_told(terminal, database):
    with database.transaction() as connection:
        make_job(connection, "job-1", chunks=[1000])
    assert terminal.answer("weight", "acme", "2.5")["weight"] == 2.5
    assert terminal.answer("priority", "job-1", "high")["priority"] == "high"
    for words in (("weight", "acme", "5"), ("weight", "acme", "-1")):
        refused = terminal.run(*words)
        assert (refused.returncode, "weight" in refused.stderr) == (_EXIT_BAD, True)
    assert terminal.run("weight", "acme", "nan").returncode == _EXIT_BAD
    assert terminal.run("weight", "nobody", "1").returncode == 1


def test_pauses_are_set_listed_and_lifted(terminal):
    why = ("--reason", "they asked for it")
    assert terminal.answer("pauses", "set", "license", "acme", *why)["paused"]
    assert terminal.answer("pauses", "set", "everything", *why)["subject"] is None
    listed = [one["scope"] for one in terminal.answer("pauses")["items"]]
    assert listed == ["everything", "license"]
    said = terminal.run("pauses", "list").stdout
    assert "license acme is paused since" in said
    assert "they asked for it" in said
    assert not terminal.answer("pauses", "lift", "license", "acme")["paused"]
    assert not terminal.answer("pauses", "lift", "everything")["paused"]
    assert terminal.run("pauses").stdout == "nothing is paused\n"
    assert terminal.run("pauses", "set", "license", *why).returncode == _EXIT_BAD
    assert terminal.run("pauses", "set", "everything", "x", *why).returncode == 2
    assert terminal.run("pauses", "set", "license", "nobody", *why).returncode == 1
