"""What makes a record unchanged: what would be written to it, no choice of a push."""

import hashlib
import json

import pytest
from sqlalchemy import text

from tests.support.push_runs import contact, counts, push

_RECORDS = [
    contact("c1", "p1", phone="+32 2 555 01 01", title=""),
    contact("c2", "p2", phone="+32 2 555 01 02", title=""),
]
_ALL = {"unchanged": 2}


@pytest.fixture
def pushed(wired, house, connection, sandbox):
    """Pushes the same 40 days later, with other choices; what came of it."""

    def again(first, then):
        push(house, connection, _RECORDS, **first)
        before = sandbox.tally("hubspot")["paths"]
        report = push(wired(days=40), connection, _RECORDS, **then)
        after = sandbox.tally("hubspot")["paths"]
        writes = [p for p in after if "upsert" in p or "update" in p or "member" in p]
        sent = sum(after[path] - before.get(path, 0) for path in writes)
        return counts(report), report.settled, sent

    return again


_NOTHING_WRITTEN = [
    ({}, {"overwrite": "if_empty"}),
    ({"overwrite": "if_empty"}, {}),
    ({}, {"overwrite": "never"}),
    ({"tags": ["a", "b"]}, {}),
    ({"tags": ["a", "b"]}, {"tags": ["b"]}),
    ({"tags": ["a", "b"]}, {"tags": ["b", "a"]}),
    ({}, {"recreate_deleted": True}),
    ({}, {"reject_invalid": True}),
    ({}, {"send_blanks": True}),
    ({"send_blanks": True}, {}),
    (
        {},
        {
            "mapping": {
                "person": {"person_phone": None},
                "company": {"company_name": None},
            }
        },
    ),
    ({"owner": "ada@acme.example"}, {}),
    ({"owner": "ada@acme.example"}, {"owner": "71"}),
]


@pytest.mark.parametrize(("first", "then"), _NOTHING_WRITTEN)
def test_a_choice_that_writes_nothing_leaves_records_unchanged_and_free(
    pushed, first, then
):
    assert pushed(first, then) == (_ALL, 0, 0)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({}, {"tags": ["a"]}),
        ({"tags": ["a"]}, {"tags": ["a", "b"]}),
        ({}, {"owner": "ada@acme.example"}),
        ({"mapping": {"person": {"person_phone": None}}}, {}),
    ],
)
def test_what_would_be_written_is_sent(pushed, first, then):
    told, _, sent = pushed(first, then)
    assert (told, sent > 0) == ({"updated": 2}, True)


def test_what_was_kept_by_an_earlier_choice_is_written_once_that_is_chosen(
    house, connection
):
    push(house, connection, [contact("c1", "p1", phone="1")])
    given = [contact("c1", "p1", phone="2", email="a@b.example")]
    report = push(house, connection, given, overwrite="if_empty")
    assert counts(report) == {"updated": 1}
    assert counts(push(house, connection, given, overwrite="if_empty")) == {
        "unchanged": 1
    }
    assert counts(push(house, connection, given)) == {"updated": 1}
    assert counts(push(house, connection, given)) == {"unchanged": 1}


def test_a_part_that_was_left_out_meanwhile_is_remembered(house, connection):
    first = [contact("c1", "p1", phone="1", email="a@b.example")]
    push(house, connection, first)
    without = {"mapping": {"person": {"person_phone": None}}}
    changed = [contact("c1", "p1", phone="1", email="b@b.example")]
    assert counts(push(house, connection, changed, **without)) == {"updated": 1}
    assert counts(push(house, connection, changed)) == {"unchanged": 1}


def _older(kind, our_id, tags):
    """A digest of all that was sent, as versions before parts have kept it."""
    number = our_id[1:]
    fields = {"name": f"Company c{number}"}
    if kind == "person":
        fields = {
            "firstname": "P",
            "lastname": our_id,
            "phone": f"+32 2 555 01 0{number}",
        }
    company = f"c{number}" if kind == "person" else None
    what = [kind, "always", tags, company, sorted(fields.items())]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]


@pytest.mark.parametrize("then", [{}, {"overwrite": "if_empty"}, {"tags": ["a"]}])
def test_what_an_older_version_has_remembered_is_unchanged_too(
    wired, house, connection, then
):
    tags = then.get("tags", [])
    push(house, connection, _RECORDS, tags=tags)
    with house.database.transaction() as open_:
        for kind, our_id in open_.execute(
            text("SELECT kind, our_id FROM id_map")
        ).all():
            open_.execute(
                text("""
                    UPDATE id_map SET digest = :digest, input_digest = :digest
                     WHERE kind = :kind AND our_id = :our_id"""),
                {"kind": kind, "our_id": our_id, "digest": _older(kind, our_id, tags)},
            )
    report = push(wired(days=40), connection, _RECORDS, **then)
    assert (counts(report), report.settled) == (_ALL, 0)
