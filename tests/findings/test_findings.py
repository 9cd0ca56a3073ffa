"""Findings, requests and costs as rows: what is kept, reused, and never done twice."""

from decimal import Decimal

import pytest
from sqlalchemy import text

from pricing.findings import EmailStatus
from pricing.plans import Item
from storage.findings import findings, lookup_pages, lookups, provider_costs
from storage.findings.findings import Key, Memory
from storage.findings.lookup_pages import WantedLookups
from storage.findings.lookups import Asked, NewLookup
from storage.findings.provider_costs import Cost
from storage.retention import erased_persons
from storage.state_machine import LookupState
from tests.support.business_time import DAY_S, shift_to
from tests.support.stored_jobs import make_job, make_license

ANN, BOB = Key("ann", "d1"), Key("bob", "d2")
FOUND = Memory(*ANN, Item.EMAIL, "hunter", "ann@x.example", EmailStatus.VALID)
MISSED = Memory(*ANN, Item.PHONE, "hunter")


@pytest.fixture
def books(database):
    with database.transaction() as connection:
        make_license(connection)
        make_job(connection, "job-1", chunks=[10])
    return database


def _remembered(database, *keys, found_s=DAY_S, missed_s=DAY_S):
    with database.transaction() as connection:
        return findings.remembered(connection, keys, found_s=found_s, missed_s=missed_s)


def _keep(database, *memories):
    with database.transaction() as connection:
        findings.keep(connection, memories)


def _new(lookup_id="lkp_1", *, deferred=True, deadline_s=60.0, provider="fullenrich"):
    return NewLookup(
        id=lookup_id,
        provider=provider,
        job_id="job-1",
        chunk_id=1,
        deferred=deferred,
        deadline_s=deadline_s,
    )


def _prepare(database, new, *asked):
    with database.transaction() as connection:
        chunk_id = connection.execute(text("SELECT min(id) FROM chunks")).scalar_one()
        assert chunk_id == 1
        return lookups.prepare(connection, new, asked)


def _emails(*keys: Key) -> list[Asked]:
    return [Asked(key.person_id, key.digest, Item.EMAIL) for key in keys]


def test_what_was_found_is_remembered_under_what_it_was_looked_up_by(database):
    _keep(database, FOUND, MISSED)
    assert sorted(_remembered(database, ANN), key=lambda m: m.item) == [FOUND, MISSED]
    assert _remembered(database, Key("ann", "other"), BOB) == []


def test_what_was_found_and_what_was_not_age_apart(database):
    _keep(database, FOUND, MISSED)
    shift_to(database, 5 * DAY_S)
    assert _remembered(database, ANN, found_s=6 * DAY_S) == [FOUND]
    assert _remembered(database, ANN, missed_s=6 * DAY_S) == [MISSED]


def test_a_later_answer_takes_the_place_of_an_earlier_one(database):
    _keep(database, FOUND._replace(value=None, status=None))
    _keep(database, FOUND)
    assert _remembered(database, ANN) == [FOUND]


def test_an_objection_stays_whatever_is_answered_later(database):
    objection = FOUND._replace(value=None, status=EmailStatus.OBJECTED)
    _keep(database, objection)
    _keep(database, FOUND)
    with database.transaction() as connection:
        assert findings.objected(connection, ["ann", "bob"]) == {"ann"}
        assert findings.forget(connection, after_s=-1, limit=10) == 0


def test_an_objection_in_the_directory_is_one_too(database):
    with database.transaction() as connection:
        connection.execute(
            text("""INSERT INTO directory (person_id, email_status)
                    VALUES ('ann', 'objected'), ('bob', 'valid')""")
        )
        assert findings.objected(connection, ["ann", "bob"]) == {"ann"}


def test_who_was_erased_is_not_remembered_again(database):
    _keep(database, FOUND)
    with database.transaction() as connection:
        erased_persons.put(connection, "ann", None)
        assert findings.erase(connection, "ann") == 1
    _keep(database, FOUND)
    assert _remembered(database, ANN) == []


def test_old_answers_are_forgotten_some_at_a_time(database):
    _keep(database, FOUND, MISSED)
    with database.transaction() as connection:
        assert findings.forget(connection, after_s=DAY_S, limit=10) == 0
    shift_to(database, DAY_S)
    with database.transaction() as connection:
        assert findings.forget(connection, after_s=-1, limit=1) == 1
        assert findings.forget(connection, after_s=-1, limit=10) == 1


def test_no_two_requests_ask_for_the_same_at_once(books):
    assert _prepare(books, _new("lkp_1"), *_emails(ANN)) == {ANN}
    assert _prepare(books, _new("lkp_2"), *_emails(ANN, BOB)) == {BOB}
    assert _prepare(books, _new("lkp_3"), *_emails(ANN, BOB)) == set()
    assert _prepare(books, _new("lkp_4", provider="other"), *_emails(ANN)) == {ANN}
    with books.transaction() as connection:
        found = lookup_pages.page(connection, WantedLookups(), limit=10)
    assert [(row.id, row.persons) for row in found] == [
        ("lkp_4", 1),
        ("lkp_2", 1),
        ("lkp_1", 1),
    ]


def test_a_person_of_whom_one_item_is_being_asked_for_waits_with_all(books):
    _prepare(books, _new("lkp_1"), *_emails(ANN))
    both = [Asked(*ANN, Item.EMAIL), Asked(*ANN, Item.PHONE), Asked(*BOB, Item.PHONE)]
    assert _prepare(books, _new("lkp_2"), *both) == {BOB}
    with books.transaction() as connection:
        still = lookups.open_for(connection, [ANN, BOB])
    assert {(open_.asked, open_.lookup_id) for open_ in still} == {
        (Asked(*ANN, Item.EMAIL), "lkp_1"),
        (Asked(*BOB, Item.PHONE), "lkp_2"),
    }


def test_an_answer_counts_once(books):
    _prepare(books, _new(), *_emails(ANN, BOB))
    with books.transaction() as connection:
        lookups.sent(connection, "lkp_1", "v1")
        assert lookups.answer(connection, "lkp_1", ["ann"]) == _emails(ANN)
        assert lookups.answer(connection, "lkp_1", ["ann"]) == []
        assert lookups.end(connection, "lkp_1") == _emails(BOB)
        assert lookups.end(connection, "lkp_1") == []
        assert lookups.open_for(connection, [ANN, BOB]) == []


def test_a_request_whose_fate_is_unknown_is_found_by_our_id(books):
    _prepare(books, _new(), *_emails(ANN))
    with books.transaction() as connection:
        assert not lookups.match(
            connection, "fullenrich", request_id=None, vendor_id="v1"
        )
        assert not lookups.match(
            connection, "hunter", request_id="lkp_1", vendor_id="v1"
        )
        for request_id in ("lkp_1", None):
            found = lookups.match(
                connection, "fullenrich", request_id=request_id, vendor_id="v1"
            )
            assert found is not None
            assert found.id == "lkp_1"


def test_after_its_deadline_a_request_counts_as_not_found(books):
    _prepare(books, _new(deadline_s=0), *_emails(ANN))
    _prepare(books, _new("lkp_2"), *_emails(BOB))
    with books.transaction() as connection:
        assert lookups.expire(connection, limit=10) == ["lkp_1"]
        assert lookups.expire(connection, limit=10) == []
    missed = Memory(*ANN, Item.EMAIL, "fullenrich")
    assert _remembered(books, ANN, BOB) == [missed]
    with books.transaction() as connection:
        expired = lookup_pages.page(
            connection, WantedLookups(state=LookupState.EXPIRED), limit=10
        )
        assert [row.id for row in expired] == ["lkp_1"]
        # It comes after all: what it cost is known, and nobody asks again.
        assert lookups.answer(connection, "lkp_1", ["ann"]) == _emails(ANN)


def test_what_was_to_be_answered_at_once_may_be_asked_again(books):
    hunter = _new("lkp_1", deferred=False, deadline_s=0, provider="hunter")
    _prepare(books, hunter, *_emails(ANN))
    with books.transaction() as connection:
        assert lookups.expire(connection, limit=10) == []
    assert _remembered(books, ANN) == []
    again = _new("lkp_2", deferred=False, provider="hunter")
    assert _prepare(books, again, *_emails(ANN)) == {ANN}
    with books.transaction() as connection:
        lookups.let_go(connection, 1)
        assert lookups.open_for(connection, [ANN]) == []


def test_one_asks_about_a_request_each_time(books):
    _prepare(books, _new("lkp_1"), *_emails(ANN))
    _prepare(books, _new("lkp_2"), *_emails(BOB))
    with books.transaction() as connection:
        lookups.sent(connection, "lkp_1", "v1")
        asked = ["lkp_1", "lkp_2"]
        assert lookups.take_polls(connection, asked, every_s=60) == []
        assert lookups.take_polls(connection, asked, every_s=0) == [("lkp_1", "v1")]
        assert lookups.take_polls(connection, asked, every_s=60) == []


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE lookups SET state = 'sent'", "lookups_sent_check"),
        ("UPDATE lookups SET state = 'expired'", "lookups_ended_check"),
        (
            "UPDATE lookups SET vendor_id = 'v1'",
            "lookups_provider_vendor_id_key",
        ),
        (
            "UPDATE lookup_items SET person_id = 'ann', digest = 'd1'",
            "lookup_items_asked_once_idx",
        ),
        (
            "UPDATE lookup_items SET answered_at = now()",
            "lookup_items_answered_check",
        ),
        (
            "UPDATE findings SET email_status = 'objected'",
            "findings_value_check",
        ),
        ("UPDATE findings SET value = NULL", "findings_value_check"),
    ],
)
def test_what_must_never_happen_is_refused(books, statement, constraint):
    _keep(books, FOUND)
    _prepare(books, _new("lkp_1"), *_emails(ANN))
    _prepare(books, _new("lkp_2"), *_emails(BOB))
    with (
        pytest.raises(Exception, match=constraint),
        books.transaction() as connection,
    ):
        connection.execute(text(statement))


def test_what_providers_were_paid_is_summed_by_job_and_provider(books):
    with books.transaction() as connection:
        provider_costs.add(connection, "job-1", Cost("hunter", 2, Decimal("1.5")))
        provider_costs.add(connection, "job-1", Cost("hunter", 1, Decimal(1)))
        provider_costs.add(connection, "job-1", Cost("hunter", 0, Decimal(0)))
        provider_costs.add(connection, "job-1", Cost("fullenrich", 1, Decimal(11)))
        assert provider_costs.of_job(connection, "job-1") == [
            Cost("fullenrich", 1, Decimal(11)),
            Cost("hunter", 3, Decimal("2.5")),
        ]
        assert provider_costs.charged(connection, "job-1") == []


def test_what_was_paid_is_never_changed(books):
    with books.transaction() as connection:
        provider_costs.add(connection, "job-1", Cost("hunter", 2, Decimal("1.5")))
    for statement in (
        "UPDATE provider_costs SET paid = 0",
        "DELETE FROM provider_costs",
    ):
        with (
            pytest.raises(Exception, match="are never changed"),
            books.transaction() as connection,
        ):
            connection.execute(text(statement))
