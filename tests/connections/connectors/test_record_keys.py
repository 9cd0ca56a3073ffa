"""Our keys in CRMs: one an id, whatever a CRM makes of a text."""

import unicodedata
from collections.abc import Callable

import pytest

from tests.connections.connectors.salesforce_org import KEY
from worker.connections.connectors.connector import Kind, Row, Wanted, Written
from worker.connections.connectors.record_keys import by_key, key_of, with_plain

_CHANGES: list[Callable[[str], str]] = [
    str.strip,
    str.casefold,
    lambda text: " ".join(text.split()),
    *(
        lambda text, form=form: unicodedata.normalize(form, text)
        for form in ("NFC", "NFD", "NFKC", "NFKD")
    ),
    lambda text: text[:255],
    lambda text: text.encode("ascii", "ignore").decode(),
]
_IDS = [
    *("c1", "C1", "c  1", "\u00e9", "e\u0301", "E\u0301", "e", "\u00df", "ss", "SS"),
    *("x" * 200, "X" * 200, "\u00e9" * 200, "e" * 200, "\u4e2d", "\u212a", "k", "K"),
    *("a~" + "0" * 32, "A~" + "0" * 32, "\U0001f600", "?", "-", "~"),
]


@pytest.mark.parametrize("folds_case", [True, False])
def test_no_change_of_a_crms_makes_two_keys_one(folds_case):
    changes = [one for one in _CHANGES if folds_case or one is not str.casefold]
    keys = [key_of(one, folds_case=folds_case) for one in _IDS]
    for change in changes:
        assert len({change(key) for key in keys}) == len(_IDS)
        assert [change(key) for key in keys] == keys
    assert all(0 < len(key) <= 255 for key in keys)


@pytest.mark.parametrize(
    "our_id", ["c1", "be:0403170701", "o'neill", "a\\b", "a b", "."]
)
def test_a_plain_id_is_its_own_key(our_id):
    assert key_of(our_id) == key_of(our_id, folds_case=True) == our_id


def test_case_is_kept_where_the_crm_keeps_it_apart():
    assert key_of("BE-0403") == "BE-0403"
    assert key_of("BE-0403", folds_case=True).startswith("be-0403~")


def test_what_looks_like_a_key_that_was_made_is_none_of_another_id():
    made = key_of("\u00e9")
    assert key_of(made) != made
    assert with_plain([made]) == {key_of(made): made}
    assert by_key(["\u00e9"]) == {made: "\u00e9"}


@pytest.mark.parametrize("our_id", ["BE-0403", "caf\u00e9"])
def test_hubspots_records_of_older_versions_are_found_and_written_by_the_key_of_today(
    account, our_id
):
    there = account.plant(Kind.PERSON, holdfast_id=our_id, firstname="A")
    wanted = [Wanted(id=our_id, fields={"firstname": "A"})]
    assert account.hubspot.find(Kind.PERSON, wanted)[our_id].their_id == there
    result = account.hubspot.write(
        Kind.PERSON, [Row(id=our_id, fields={"firstname": "B"})]
    )[our_id]
    assert isinstance(result, Written)
    assert (result.their_id, account.tally["contacts"]) == (there, 1)
    key = account.records(Kind.PERSON)[there]["holdfast_id"]
    assert key == key_of(our_id, folds_case=True)


def test_a_hubspot_id_in_another_case_is_another(account):
    theirs = [account.written(Kind.PERSON, one) for one in ("c1", "C1")]
    assert len(set(theirs)) == 2
    found = account.hubspot.find(
        Kind.PERSON, [Wanted(id=one, fields={}) for one in ("C1", "c1")]
    )
    assert [found[one].their_id for one in ("c1", "C1")] == theirs


def test_salesforces_records_of_older_versions_are_found_and_given_todays_key(
    org,
):
    there = org.plant(Kind.PERSON, LastName="A", **{KEY: "caf\u00e9"})
    wanted = [Wanted(id="caf\u00e9", fields={}), Wanted(id="cafe\u0301", fields={})]
    found = org.salesforce.find(Kind.PERSON, wanted)
    assert {one: match.their_id for one, match in found.items()} == {"caf\u00e9": there}
    row = Row(id="caf\u00e9", fields={"LastName": "B"})
    (result,) = org.salesforce.write(Kind.PERSON, [row]).values()
    assert result.their_id == there
    assert org.records()[there][KEY] == key_of("caf\u00e9")
