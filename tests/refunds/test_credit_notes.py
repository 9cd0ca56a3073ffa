"""Credit notes: what they give back, who has to approve them, and how they stay."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from storage.ledger import balances
from storage.refunds import credit_note_reports, credit_notes
from storage.refunds.credit_notes import (
    HOUSE,
    Author,
    DecideResult,
    MakeResult,
    Wanted,
)
from storage.refunds.refunds import RefundResult
from tests.refunds.noted import (
    ADA,
    BOB,
    NOBODY,
    ask,
    make_charges,
    more_charges,
    numbers,
    refunded,
    result_of,
)
from tests.support.business_time import DAY_S, shift_to
from tests.support.stored_jobs import charge_of, end_job, make_job, make_license, settle


def _spent(database) -> int:
    with database.transaction() as connection:
        found = balances.balance(connection, "acme")
    assert found is not None
    return found.spent


def _decided(database, note: int, author: Author) -> DecideResult:
    with database.transaction() as connection:
        return credit_notes.approve(connection, note, author)


def _rejected(database, note: int, author: Author) -> DecideResult:
    with database.transaction() as connection:
        return credit_notes.reject(connection, note, author, "no")


def _waiting(database, charges: list[int], author: Author = ADA) -> int:
    with database.transaction() as connection:
        decision, note = ask(connection, charges, author, most=0)
    assert decision.result is MakeResult.AWAITING_APPROVAL
    assert note is not None
    return note


def test_a_note_gives_all_its_charges_back_and_is_numbered(database):
    with database.transaction() as connection:
        charges = make_charges(connection, 4)
        ask(connection, charges[:3])
        ask(connection, charges[3:])
        assert refunded(connection) == charges
        assert numbers(connection) == [1, 2]
        note = credit_note_reports.of_charge(connection, charges[0])
    assert note is not None
    assert (note.number, note.credits, note.charges, note.author) == (1, 3, 3, "Ada")
    assert _spent(database) == 0


def test_each_license_has_numbers_of_its_own(database):
    with database.transaction() as connection:
        ours = make_charges(connection, 1)
        theirs = make_charges(connection, 1, license_id="globex", job="job-2")
        ask(connection, ours)
        ask(connection, theirs, license_id="globex")
        assert numbers(connection) == numbers(connection, "globex") == [1]


def test_where_one_charge_cannot_be_given_back_none_is(database):
    with database.transaction() as connection:
        charges = make_charges(connection, 3)
        ask(connection, charges[:1])
        make_job(connection, "open", 2)
        settle(connection, "open", "company:job-1-1=1", "company:o=1")
        rows = connection.execute(
            text("SELECT id FROM charges WHERE job_id = 'open' ORDER BY credits")
        )
        free, open_ = rows.scalars()
        asked = [*charges, free, open_, 999_999]
        decision, note = ask(connection, asked, most=0)
        assert (decision.result, note) == (MakeResult.REFUSED, None)
        assert [tuple(one) for one in decision.refused] == [
            (charges[0], RefundResult.ALREADY_REFUNDED),
            (free, RefundResult.NOTHING_TO_REFUND),
            (open_, RefundResult.RESERVATION_OPEN),
            (999_999, RefundResult.NOT_FOUND),
        ]
        assert refunded(connection) == charges[:1]


def test_a_whole_job_is_what_of_it_was_not_given_back_before(database):
    with database.transaction() as connection:
        charges = make_charges(connection, 3)
        ask(connection, charges[:1])
        decision, note = ask(connection, [], job_id="job-1")
        assert (decision.charge_ids, decision.credits) == (charges[1:], 2)
        assert refunded(connection) == charges
        assert note is not None
        found = credit_note_reports.get(connection, note)
        assert found is not None
        assert (found.job_id, found.credits) == ("job-1", 2)
        again, _ = ask(connection, [], job_id="job-1")
    assert again.result is MakeResult.NOTHING_LEFT


def test_what_a_large_job_has_paid_is_given_more_time_than_another_statement(database):
    def given(connection: Connection) -> str:
        return str(connection.execute(text("SHOW statement_timeout")).scalar_one())

    wanted = Wanted(license_id="acme", job_id="job-1", reason="all of it")
    acts: tuple[Callable[[Connection], object], ...] = (
        lambda on: credit_notes.decide(on, wanted, HOUSE, approval_credits=None),
        lambda on: credit_notes.approve(on, 1, ADA),
        lambda on: credit_notes.reject(on, 1, ADA, "no"),
    )
    for act in acts:
        with database.transaction() as connection:
            assert given(connection) == "30s"
            act(connection)
            assert given(connection) == "30min"


def test_what_goes_above_the_amount_waits_and_moves_nothing(database):
    with database.transaction() as connection:
        charges = make_charges(connection, 4)
        decision, note = ask(connection, charges, most=3)
        assert decision.result is MakeResult.AWAITING_APPROVAL
        assert note is not None
        assert (refunded(connection), numbers(connection)) == ([], [])
        found = credit_note_reports.get(connection, note)
        assert found is not None
        assert (found.number, found.credits, found.decided_at) == (None, 4, None)
    assert _spent(database) == 4


def test_the_amount_is_of_an_author_a_license_and_a_day_together(database):
    with database.transaction() as connection:
        charges = make_charges(connection, 9)
        theirs = make_charges(connection, 2, license_id="globex", job="job-2")
    booked, waits = MakeResult.BOOKED, MakeResult.AWAITING_APPROVAL
    assert result_of(database, charges[:2], most=3) is booked
    # What is written otherwise is the same person.
    assert result_of(database, charges[2:4], Author("ADA", "ADA"), most=3) is waits
    assert result_of(database, charges[4:5], most=3) is booked
    assert result_of(database, charges[5:6], most=3) is waits
    assert result_of(database, charges[6:8], BOB, most=3) is booked
    assert result_of(database, theirs, most=3, license_id="globex") is booked
    shift_to(database, DAY_S)
    assert result_of(database, charges[8:], most=3) is booked


def test_keys_that_name_nobody_count_as_one_and_ask_for_no_more(database):
    with database.transaction() as connection:
        charges = make_charges(connection, 3)
    assert result_of(database, charges[:2], NOBODY, most=2) is MakeResult.BOOKED
    other = Author("another key")
    assert result_of(database, charges[2:], other, most=2) is MakeResult.NEEDS_A_PERSON
    with database.transaction() as connection:
        assert refunded(connection) == charges[:2]


def test_another_person_approves_and_then_it_is_numbered(database):
    with database.transaction() as connection:
        charges = make_charges(connection, 2)
    note = _waiting(database, charges)
    assert _decided(database, note, Author("two", "ada")) is DecideResult.SAME_PERSON
    assert _decided(database, note, NOBODY) is DecideResult.NEEDS_A_PERSON
    assert _decided(database, note + 1, BOB) is DecideResult.NOT_FOUND
    with database.transaction() as connection:
        assert refunded(connection) == []
    assert _decided(database, note, BOB) is DecideResult.DONE
    assert _decided(database, note, BOB) is DecideResult.NOT_WAITING
    assert _rejected(database, note, BOB) is DecideResult.NOT_WAITING
    with database.transaction() as connection:
        found = credit_note_reports.get(connection, note)
        assert refunded(connection) == charges
    assert found is not None
    assert (found.number, found.author, found.decided_by) == (1, "Ada", "Bob")
    assert _spent(database) == 0


def test_what_a_second_person_approves_takes_nothing_off_what_one_may_alone(database):
    with database.transaction() as connection:
        charges = make_charges(connection, 6)
    with database.transaction() as connection:
        _, note = ask(connection, charges[:4], most=2)
    assert note is not None
    assert _decided(database, note, BOB) is DecideResult.DONE
    assert result_of(database, charges[4:], most=2) is MakeResult.BOOKED


def test_nobody_approves_their_own_even_behind_the_back_of_the_code(database):
    with database.transaction() as connection:
        charges = make_charges(connection, 1)
    note = _waiting(database, charges)
    with (
        pytest.raises(IntegrityError, match="credit_notes_approver_check"),
        database.transaction() as connection,
    ):
        connection.execute(
            text("""
                UPDATE credit_notes SET state = 'booked', number = 1,
                       decided_by = 'ADA', decided_at = now() WHERE id = :note"""),
            {"note": note},
        )


def test_what_is_rejected_leaves_its_charges_to_be_asked_for_anew(database):
    with database.transaction() as connection:
        charges = make_charges(connection, 2)
    first = _waiting(database, charges)
    assert _rejected(database, first, NOBODY) is DecideResult.DONE
    assert _decided(database, first, BOB) is DecideResult.NOT_WAITING
    second = _waiting(database, charges)
    assert _decided(database, second, BOB) is DecideResult.DONE
    with database.transaction() as connection:
        assert numbers(connection) == [1]
        rejected = credit_note_reports.get(connection, first)
    assert rejected is not None
    assert (rejected.number, rejected.decided_by) == (None, "a key")
    assert rejected.decision_reason == "no"


def test_a_charge_waits_in_one_note_alone(database):
    with database.transaction() as connection:
        charges = make_charges(connection, 3)
    _waiting(database, charges[:2])
    with database.transaction() as connection:
        decision, _ = ask(connection, charges[1:], BOB, most=0)
    assert decision.refused == [(charges[1], RefundResult.WAITS_FOR_APPROVAL)]


def test_what_was_given_back_meanwhile_is_left_out_when_it_is_approved(database):
    with database.transaction() as connection:
        charges = make_charges(connection, 3)
    note = _waiting(database, charges)
    assert result_of(database, charges[:1], BOB, most=1) is MakeResult.BOOKED
    assert _decided(database, note, BOB) is DecideResult.DONE
    with database.transaction() as connection:
        found = credit_note_reports.get(connection, note)
        assert credit_note_reports.given_back_elsewhere(connection, note) == charges[:1]
        listed = credit_note_reports.charges(connection, note, after=0, limit=9)
        assert numbers(connection) == [1, 2]
    assert found is not None
    assert (found.credits, found.charges) == (2, 3)
    assert [one.refunded for one in listed] == [False, True, True]
    assert _spent(database) == 0


def test_a_note_of_which_nothing_is_left_is_not_booked(database):
    with database.transaction() as connection:
        charges = make_charges(connection, 1)
    note = _waiting(database, charges)
    assert result_of(database, charges, BOB) is MakeResult.BOOKED
    assert _decided(database, note, BOB) is DecideResult.NOTHING_LEFT
    assert _rejected(database, note, BOB) is DecideResult.DONE


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE credit_notes SET credits = credits + 1",
        "UPDATE credit_notes SET number = 7",
        "UPDATE credit_notes SET author = 'Eve'",
        "UPDATE credit_notes SET reason = 'another'",
        "UPDATE credit_notes SET decided_by = 'Eve'",
        "DELETE FROM credit_notes",
        "TRUNCATE credit_notes CASCADE",
    ],
)
def test_a_note_that_was_decided_on_never_changes(database, change):
    with database.transaction() as connection:
        charges = make_charges(connection, 1)
        ask(connection, charges)
    with (
        pytest.raises(IntegrityError, match="never changed"),
        database.transaction() as connection,
    ):
        connection.execute(text(change))


@pytest.mark.parametrize("column", ["author", "person", "job_id", "reason"])
def test_what_was_asked_for_stays_while_it_waits(database, column):
    with database.transaction() as connection:
        charges = make_charges(connection, 1)
    _waiting(database, charges)
    with (
        pytest.raises(IntegrityError, match="never changed"),
        database.transaction() as connection,
    ):
        connection.execute(text(f"UPDATE credit_notes SET {column} = 'Eve'"))


def test_the_words_of_a_note_can_be_erased(database):
    with database.transaction() as connection:
        charges = make_charges(connection, 1)
        _, note = ask(connection, charges)
        connection.execute(text("UPDATE credit_notes SET reason = NULL"))
        assert note is not None
        found = credit_note_reports.get(connection, note)
    assert found is not None
    assert found.reason is None


def test_a_persons_erasure_takes_the_words_of_notes_about_them_and_no_others(database):
    with database.transaction() as connection:
        others = make_charges(connection, 2)
        make_job(connection, "job-2", 2)
        settle(connection, "job-2", "email:p1=1", "email:p2=1")
        end_job(connection, "job-2")
        (first, second) = (
            charge_of(connection, "job-2", f"email:{name}") for name in ("p1", "p2")
        )
        notes = [
            ask(connection, charges, most=0)[1]
            for charges in ([first, others[0]], [second], others[1:])
        ]
    assert _rejected(database, notes[0] or 0, BOB) is DecideResult.DONE
    with database.transaction() as connection:
        assert credit_notes.erase_words(connection, "p1", "globex") == 0
        assert credit_notes.erase_words(connection, "p1", None) == 1
        found = [credit_note_reports.get(connection, note or 0) for note in notes]
    words = [(one.reason, one.decision_reason) for one in found if one]
    assert words == [(None, None), ("a test", None), ("a test", None)]


def test_notes_are_listed_by_license_period_and_state(database):
    with database.transaction() as connection:
        charges = make_charges(connection, 3)
        make_license(connection, "globex")
        theirs = more_charges(connection, 1, license_id="globex", job="job-2")
        _, first = ask(connection, charges[:1])
        _, second = ask(connection, charges[1:2], most=0)
        _, third = ask(connection, theirs, license_id="globex")
        start = connection.execute(
            text("SELECT starts_at FROM periods WHERE license_id = 'acme'")
        ).scalar_one()

        def found(limit: int = 9, **wanted) -> list[int]:
            asked = credit_note_reports.WantedNotes(**wanted)
            listed = credit_note_reports.find(connection, asked, limit=limit)
            return [note.id for note in listed]

        assert found() == [third, second, first]
        assert found(limit=1, before=third) == [second]
        assert found(license_id="acme") == [second, first]
        starts = {
            "period_starts_since": start,
            "period_starts_before": start + timedelta(microseconds=1),
        }
        assert found(license_id="acme", **starts) == [second, first]
        assert found(license_id="globex", **starts) == []
        assert found(state=credit_notes.NoteState.BOOKED) == [third, first]
