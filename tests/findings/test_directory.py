"""The house's own data on persons: loaded all or nothing, looked up by id."""

import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from pricing.findings import EmailStatus, Finding
from storage.database import Database
from storage.findings import directory
from storage.findings.directory import Entry
from tests.support import job_runs
from worker.findings.directory_import import load_directory
from worker.infrastructure.errors import BadInput, Problem
from worker.wiring import Wired

ADA = Entry("p1", "ada@example.com", EmailStatus.VALID, "+44 1")
BOB = Entry("p2", None, EmailStatus.UNKNOWN, None)


def _load(database: Database, *entries: Entry) -> int:
    with database.transaction() as connection:
        return directory.load(connection, entries)


def _look_up(database: Database, *persons: str) -> dict[str, Finding]:
    with database.transaction() as connection:
        found = directory.look_up(connection, persons)
    return {person_id: Finding(*known) for person_id, known in found.items()}


def test_who_was_loaded_is_found_and_nobody_else(database):
    assert _load(database, ADA, BOB) == 2
    assert _look_up(database, "p1", "p2", "p3", "P1") == {
        "p1": Finding("ada@example.com", EmailStatus.VALID, "+44 1"),
        "p2": Finding(),
    }
    with database.transaction() as connection:
        assert directory.known(connection, ["p1", "p3", "P1"]) == {"p1"}
        assert directory.known(connection, []) == set()
        assert directory.look_up(connection, []) == {}


def test_loading_again_replaces_what_was_known_of_a_person_and_of_no_other(database):
    _load(database, ADA, BOB)
    assert _load(database, Entry("p1", None, EmailStatus.OBJECTED, None)) == 1
    assert _look_up(database, "p1", "p2") == {
        "p1": Finding(None, EmailStatus.OBJECTED, None),
        "p2": Finding(),
    }


def test_of_a_person_twice_in_a_file_the_last_counts(database):
    later = ADA._replace(email="ada@example.org")
    assert _load(database, ADA, BOB, later) == 2
    assert _look_up(database, "p1")["p1"].email == "ada@example.org"


def test_a_load_that_fails_changes_nothing(database):
    _load(database, ADA)

    def entries() -> Iterator[Entry]:
        yield ADA._replace(email="other@example.com")
        yield BOB
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), database.transaction() as connection:
        directory.load(connection, entries())
    assert _look_up(database, "p1", "p2") == {
        "p1": Finding("ada@example.com", EmailStatus.VALID, "+44 1")
    }


def test_ids_and_addresses_keep_every_character(database):
    strange = 'tab\\t "quoted" \\N é 漢'
    _load(database, Entry(strange, strange, EmailStatus.VALID, strange))
    assert _look_up(database, strange) == {
        strange: Finding(strange, EmailStatus.VALID, strange)
    }


# -- From JSON Lines ----------------------------------------------------------


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    wired = job_runs.wire_to(database_url, tmp_path)
    with closing(wired.database):
        yield wired


def test_a_line_says_what_it_knows_and_the_rest_is_unknown(deps):
    lines = [
        {"person_id": "p1", "email": "a@example.com", "email_status": "probable"},
        {"person_id": "p2", "phone": "+1", "email": None, "title": "Senator"},
        {"person_id": "p3", "email": "", "email_status": "", "phone": ""},
    ]
    file = [*(json.dumps(line).encode() for line in lines), b"", b"  \n"]
    assert load_directory(deps, file) == (3, 0)
    assert _look_up(deps.database, "p1", "p2", "p3") == {
        "p1": Finding("a@example.com", EmailStatus.PROBABLE, None),
        "p2": Finding(None, EmailStatus.UNKNOWN, "+1"),
        "p3": Finding(),
    }


@pytest.mark.parametrize(
    ("line", "field", "message"),
    [
        (b"\xff", None, "is not valid UTF-8"),
        (b"{", None, "is not JSON"),
        (b"[]", None, "is not an object"),
        (b"{}", "person_id", "is missing or no text"),
        (b'{"person_id": 7}', "person_id", "is missing or no text"),
        (b'{"person_id": ""}', "person_id", "is empty"),
        (b'{"person_id": "a\\u0000"}', "person_id", "contains a control character"),
        (
            b'{"person_id": "%s"}' % (b"a" * 201),
            "person_id",
            "is 201 characters long; at most 200 are allowed",
        ),
        (b'{"person_id": "a", "email": 1}', "email", "is no text"),
        (b'{"person_id": "a", "phone": []}', "phone", "is no text"),
        (
            b'{"person_id": "a", "phone": "1\\u0000"}',
            "phone",
            "contains a control character",
        ),
        (
            b'{"person_id": "a", "email": "\\ud800"}',
            "email",
            "contains a control character",
        ),
        (b'{"person_id": "a", "email_status": "fine"}', "email_status", "is none of"),
    ],
)
def test_a_bad_line_is_named_with_its_field_and_nothing_is_loaded(
    deps, line, field, message
):
    with pytest.raises(BadInput) as bad:
        load_directory(deps, [b'{"person_id": "good"}', b"", line])
    (problem,) = bad.value.problems
    assert (problem.line, problem.field) == (3, field)
    assert problem.message.startswith(message)
    assert _look_up(deps.database, "good") == {}


def test_a_hundred_problems_are_listed_and_all_are_counted(deps):
    with pytest.raises(BadInput) as bad:
        load_directory(deps, [b"[]"] * 150)
    assert len(bad.value.problems) == 100
    assert bad.value.total == 150
    assert bad.value.problems[99] == Problem(100, None, "is not an object")
