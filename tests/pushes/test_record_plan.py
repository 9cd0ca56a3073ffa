"""What a push does about one company or person, decided before it is done."""

import pytest

from storage.connections.id_map import Entry
from storage.crm_changes import Change
from storage.pushes.intents import Intent
from worker.connections.connectors.connector import (
    Ambiguous,
    Existing,
    Kind,
    Rejected,
    Wanted,
)
from worker.pushes import sent_parts
from worker.pushes.field_values import Ready, older_digest
from worker.pushes.push_options import Overwrite, Push
from worker.pushes.record_plan import Left, Merged, Step, step_of, unclaimed

FIELDS = {"name": "Ada", "email": "ada@example.com"}


def _ready(**changed):
    return Ready(
        wanted=Wanted(id="p1", fields=FIELDS),
        given=FIELDS,
        company_id="c1",
        kind=Kind.PERSON,
        push=Push(connection_id="x"),
        **changed,
    )


def _plan(known=None, intent=None, match=None, tells_of=None, **how):
    push = Push(connection_id="x", **how)
    ready = _ready(tells_of=tells_of or {})
    return step_of(ready, known=known, intent=intent, match=match, push=push)


def _known(**fields):
    parts = {**sent_parts.of_fields(fields), **sent_parts.of_choices("c1", ())}
    digest = sent_parts.digest_of(parts)
    return Entry(
        kind="person", our_id="p1", their_id="7", digest=digest, input_digest=digest
    )


def _existing(**fields):
    return Existing(their_id="7", fields=fields, has_key=True)


def test_what_the_crm_does_not_have_is_created_with_all_its_fields():
    assert _plan() == Step(change=Change.CREATED, fields=FIELDS, their_id=None)


def test_what_was_sent_like_this_before_is_not_sent_again():
    step = _plan(known=_known(**FIELDS), match=_existing())
    assert (step.change, step.fields, step.is_known) == (Change.UNCHANGED, {}, True)


def test_more_than_would_be_sent_now_was_sent_before():
    step = _plan(known=_known(**FIELDS, phone="1"), match=_existing())
    assert (step.change, step.is_known) == (Change.UNCHANGED, True)


_OLDER = older_digest(["person", "always", (), "c1", sorted(FIELDS.items())])


@pytest.mark.parametrize("digest", ["", _OLDER])
def test_a_digest_of_an_older_version_is_taken_and_none_at_all_is_not(digest):
    known = Entry(
        kind="person", our_id="p1", their_id="7", digest=digest, input_digest=digest
    )
    step = _plan(known=known, match=_existing())
    assert step.is_known == (digest == _OLDER)


def test_what_differs_from_what_was_sent_is_updated():
    step = _plan(known=_known(**FIELDS | {"name": "Eva"}), match=_existing(name="Ada"))
    assert (step.change, step.fields, step.their_id) == (Change.UPDATED, FIELDS, "7")


def test_only_empty_fields_are_filled_where_that_is_asked_for():
    step = _plan(match=_existing(name="Other"), overwrite=Overwrite.IF_EMPTY)
    assert (step.change, step.fields) == (
        Change.UPDATED,
        {"email": "ada@example.com"},
    )


def test_the_status_of_our_address_is_not_written_beside_another_one():
    there = {"email": "other@example.com"}
    for existing, written in (({}, FIELDS), (there, {})):
        step = _plan(
            match=_existing(**existing),
            overwrite=Overwrite.IF_EMPTY,
            tells_of={"name": "email"},
        )
        assert step.fields == written


@pytest.mark.parametrize(
    ("match", "overwrite"),
    [
        (_existing(name="x", email="y"), Overwrite.IF_EMPTY),
        (_existing(), Overwrite.NEVER),
    ],
)
def test_a_record_that_may_not_be_written_is_left_unchanged(match, overwrite):
    step = _plan(match=match, overwrite=overwrite)
    assert (step.change, step.their_id, step.is_known) == (
        Change.UNCHANGED,
        "7",
        False,
    )


def test_of_many_that_match_the_first_are_named():
    step = _plan(match=Ambiguous(tuple(str(n) for n in range(1_234))))
    assert isinstance(step, Rejected)
    assert step.message.endswith(": 0, 1, 2, 3, 4 and 1,229 more")


def test_why_a_crm_does_not_tell_what_matches_is_told():
    step = _plan(match=Ambiguous((), "more than 1,000 records have it"))
    assert isinstance(step, Rejected)
    assert (step.code, "more than 1,000" in step.message) == ("ambiguous", True)


def test_several_that_match_are_nobodys_to_choose_among():
    step = _plan(match=Ambiguous(("7", "8")))
    assert isinstance(step, Rejected)
    assert step.code == "ambiguous"


def test_what_a_lost_try_intended_is_done_again_whatever_the_crm_has_by_now():
    intent = Intent(
        kind="person",
        our_id="p1",
        change=Change.CREATED,
        their_id=None,
        fields=("email", "gone"),
    )
    step = _plan(
        known=_known(**FIELDS),
        intent=intent,
        match=_existing(**FIELDS),
        overwrite=Overwrite.NEVER,
    )
    assert step == Step(
        change=Change.CREATED, fields={"email": "ada@example.com"}, their_id=None
    )


def test_what_is_another_of_ours_already_is_no_match():
    def found(their_id, *, has_key=False):
        return Existing(their_id=their_id, fields={}, has_key=has_key)

    matches = {
        "a": found("1"),
        "b": found("1"),
        "c": found("2", has_key=True),
        "d": found("3"),
        "e": Ambiguous(("4", "5")),
    }
    kept = unclaimed(matches, {"2": "x", "3": "another"})
    assert set(kept) == {"a", "c", "e"}
    assert kept["c"] == Merged("x")


def test_what_was_merged_into_another_of_ours_is_left_alone():
    merged = Existing(their_id="7", fields={}, has_key=True)
    found = unclaimed({"p1": merged}, {"7": "p2"})
    step = _plan(known=_known(**FIELDS | {"name": "Eva"}), match=found["p1"])
    assert isinstance(step, Left)
    assert (step.code, "p2" in step.message) == ("merged_in_crm", True)


@pytest.mark.parametrize("name", ["Ada", "Eva"])
def test_what_was_deleted_there_is_left_alone_unless_that_is_asked_for(name):
    step = _plan(known=_known(**FIELDS | {"name": name}))
    assert isinstance(step, Left)
    assert step.code == "deleted_in_crm"
    again = _plan(known=_known(**FIELDS | {"name": name}), recreate_deleted=True)
    assert again == Step(change=Change.CREATED, fields=FIELDS, their_id=None)


@pytest.mark.parametrize("name", ["Ada", "Eva"])
def test_who_is_not_to_be_contacted_is_left_alone(name):
    match = Existing(their_id="7", fields={}, has_key=True, do_not_contact=True)
    step = _plan(known=_known(**FIELDS | {"name": name}), match=match)
    assert isinstance(step, Left)
    assert step.code == "do_not_contact"


def test_another_record_in_the_place_of_a_deleted_one_is_not_as_we_sent_it():
    theirs = Existing(their_id="8", fields={}, has_key=False)
    step = _plan(known=_known(**FIELDS), match=theirs)
    assert (step.change, step.their_id) == (Change.UPDATED, "8")


def test_what_was_merged_into_a_record_of_theirs_is_written_there_anew():
    stays = Existing(their_id="9", fields={}, has_key=True)
    step = _plan(known=_known(**FIELDS), match=stays)
    assert (step.change, step.their_id) == (Change.UPDATED, "9")


def test_kinds_are_what_the_id_map_calls_them():
    assert [kind.value for kind in Kind] == ["company", "person"]
