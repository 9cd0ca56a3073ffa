"""What became of records is kept by batches, once each, beside the rows of before."""

from dataclasses import replace
from typing import Any, cast

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from pricing.settlement import Outcome
from storage.crm_changes import Change
from storage.jobs import outcomes
from storage.jobs.outcomes import OutcomeColumns, RecordOutcome
from storage.retention import erased_persons
from tests.support.stored_jobs import make_job, make_license, take_outcomes_apart

DELIVERED = RecordOutcome(1, "c1", "p1", Outcome.DELIVERED, email_found=True)
REJECTED = RecordOutcome(
    *(3, "c1", "p3", Outcome.REJECTED, False, False),
    *("odd", "name", 'has "quotes", a \\ and\na line', None, "https://crm/3"),
)
EXCLUDED = RecordOutcome(4, "c2", None, Outcome.EXCLUDED)
UPDATED = RecordOutcome(9, "c3", None, Outcome.DELIVERED, change=Change.UPDATED)
ALL = [DELIVERED, REJECTED, EXCLUDED, UPDATED]

_AS_BEFORE = text("""
INSERT INTO outcomes (job_id, license_id, record, company_id, person_id, outcome,
                      email_found, phone_found, code)
VALUES ('job-1', 'acme', :record, 'c1', 'p5', 'delivered', false, false, NULL)
""")


@pytest.fixture
def connection(broken_database):
    """A job that has settled nothing: its outcomes alone are looked at."""
    with broken_database.transaction() as connection:
        make_license(connection)
        make_job(connection)
        make_job(connection, "job-2")
        yield connection


def _of_job(connection, after=0, limit=100, **which):
    found = outcomes.of_job(connection, "job-1", after=after, limit=limit, **which)
    return [
        RecordOutcome(*(getattr(row, one) for one in row.__slots__)) for row in found
    ]


def test_each_record_is_read_as_it_was_written(connection):
    outcomes.record(connection, "job-1", ALL[:2])
    outcomes.record(connection, "job-1", ALL[2:])
    assert _of_job(connection) == ALL
    assert _of_job(connection, rejected=True) == [REJECTED]
    assert _of_job(connection, after=3, limit=1) == [EXCLUDED]
    assert _of_job(connection, after=1, rejected=True) == [REJECTED]
    assert outcomes.settled_records(connection, "job-1") == {1, 4, 9}
    take_outcomes_apart(connection)
    assert _of_job(connection) == ALL
    assert _of_job(connection, after=1, limit=1, rejected=True) == [REJECTED]
    assert outcomes.settled_records(connection, "job-1") == {1, 4, 9}


@pytest.mark.parametrize(
    "again",
    [
        [DELIVERED],
        [EXCLUDED, UPDATED],
        [EXCLUDED._replace(record=2), UPDATED],
        [EXCLUDED._replace(record=20), UPDATED._replace(record=20)],
        [UPDATED._replace(record=21), EXCLUDED._replace(record=20)],
        [REJECTED._replace(record=20, code=None)],
        [DELIVERED._replace(record=20, person_id=None)],
        [EXCLUDED._replace(record=20, change=Change.UPDATED)],
        [EXCLUDED._replace(record=20, email_found=True)],
        [EXCLUDED._replace(record=20, outcome=cast("Outcome", "lost"))],
        [DELIVERED._replace(record=20, change=cast("Change", "lost"))],
    ],
)
def test_no_record_ends_twice_or_in_a_way_that_there_is_not(connection, again):
    outcomes.record(connection, "job-1", ALL)
    outcomes.record(connection, "job-2", [DELIVERED])
    with pytest.raises(IntegrityError):
        outcomes.record(connection, "job-1", again)
    connection.rollback()


def test_columns_of_other_lengths_are_refused(connection):
    columns = OutcomeColumns.of(ALL)
    for name in ("company_ids", "outcomes", "email_found", "phone_found"):
        for wrong in (getattr(columns, name)[1:], [*getattr(columns, name), None]):
            changed: Any = {name: wrong}
            other = replace(columns, **changed)
            with pytest.raises(IntegrityError), connection.begin_nested():
                outcomes.record_columns(connection, "job-1", other)


def test_a_worker_of_before_writes_beside_one_of_now_and_both_are_read(connection):
    outcomes.record(connection, "job-1", ALL)
    connection.execute(_AS_BEFORE, {"record": 5})
    ends = [
        row.record for row in outcomes.of_job(connection, "job-1", after=0, limit=9)
    ]
    assert ends == [1, 3, 4, 5, 9]
    assert outcomes.settled_records(connection, "job-1") == {1, 4, 5, 9}
    asked = [(1, "c1", "p5"), (2, "c1", "p1"), (3, "c1", "p3"), (4, "c3", None)]
    assert outcomes.delivered_before(connection, "acme", asked) == {1, 2, 4}
    assert outcomes.delivered_before(connection, "other", asked) == set()
    with pytest.raises(IntegrityError):
        connection.execute(_AS_BEFORE, {"record": 5})
    connection.rollback()


@pytest.mark.parametrize("as_before", [True, False])
def test_the_words_on_one_person_go_alone(connection, as_before):
    said = [
        REJECTED._replace(record=n, person_id=p) for n, p in enumerate(("a", "b"), 1)
    ]
    outcomes.record(connection, "job-1", said)
    if as_before:
        removed = connection.execute(
            text("""
                UPDATE outcomes SET message = NULL
                 WHERE holdfast_trimmed(person_id) = 'b' AND message IS NOT NULL""")
        ).rowcount
    else:
        removed = erased_persons.silence(connection, "b", None)
    assert removed == 1
    assert erased_persons.silence(connection, "b", "acme") == 0
    assert _of_job(connection) == [said[0], said[1]._replace(message=None)]
    assert erased_persons.silence(connection, "a", "other") == 0
    assert erased_persons.silence(connection, "a", "acme") == 1
    left = "SELECT count(*) FROM outcome_batches WHERE messages IS NOT NULL"
    assert connection.execute(text(left)).scalar_one() == 0


def test_code_of_before_changes_nothing_else_of_what_became_of_a_record(connection):
    outcomes.record(connection, "job-1", ALL)
    with pytest.raises(IntegrityError, match="its message alone"):
        connection.execute(text("UPDATE outcomes SET outcome = 'excluded'"))
    connection.rollback()


def test_ids_with_white_space_of_an_old_quote_are_found_without_it(connection):
    spaced = DELIVERED._replace(company_id=" c1", person_id="p1\u3000")
    outcomes.record(connection, "job-1", [spaced])
    assert _of_job(connection) == [spaced]
    asked = [(1, "c1", "p1"), (2, "c1", None), (3, "c1", "p2")]
    assert outcomes.delivered_before(connection, "acme", asked) == {1, 2}


def test_a_page_takes_only_its_own_batches_apart(connection):
    for first in range(1, 20_001, 200):
        ends = [EXCLUDED._replace(record=n) for n in range(first, first + 200)]
        outcomes.record(connection, "job-1", ends)
    connection.execute(text("ANALYZE outcome_batches"))
    asked = {"job_id": "job-1", "after": 10_000, "limit": 100, "rejected": False}
    plan = connection.execute(
        text(f"EXPLAIN (ANALYZE, TIMING OFF) {outcomes._OF_JOB.text}"), asked
    ).scalars()
    (taken_apart,) = [line for line in plan if "Function Scan" in line]
    assert int(taken_apart.rpartition("loops=")[2].rstrip(")")) <= 2
