"""What counts as found, and who is delivered (rule 10)."""

import pytest

from pricing.findings import (
    NOTHING,
    EmailLevel,
    EmailStatus,
    Finding,
    OnlyWith,
    accepted,
    passes,
)

VERIFIED, ACCEPT_ALL = EmailLevel.VERIFIED, EmailLevel.ACCEPT_ALL

# status, accepted at `verified`, accepted at `accept_all`
LEVELS = [
    (EmailStatus.VALID, True, True),
    (EmailStatus.PROBABLE, False, True),
    (EmailStatus.ACCEPT_ALL, False, True),
    (EmailStatus.UNKNOWN, False, False),
    (EmailStatus.INVALID, False, False),
    (EmailStatus.DISPOSABLE, False, False),
    (EmailStatus.OBJECTED, False, False),
]
# status, passes `email` at accept_all, passes `verified_email` at accept_all
ONLY_WITH = [
    (EmailStatus.VALID, True, True),
    (EmailStatus.PROBABLE, True, False),
    (EmailStatus.ACCEPT_ALL, True, False),
    (EmailStatus.UNKNOWN, False, False),
    (EmailStatus.INVALID, False, False),
    (EmailStatus.DISPOSABLE, False, False),
    (EmailStatus.OBJECTED, False, False),
]


def _finding(status: EmailStatus) -> Finding:
    return Finding("ada@acme.test", status, "+44 1")


def _accept(finding: Finding, level=VERIFIED, *, email=True, phone=True) -> Finding:
    return accepted(finding, level, email=email, phone=phone)


def test_the_tables_meet_every_status():
    assert [row[0] for row in LEVELS] == list(EmailStatus)
    assert [row[0] for row in ONLY_WITH] == list(EmailStatus)


@pytest.mark.parametrize(("status", "verified", "accept_all"), LEVELS)
def test_which_statuses_a_level_accepts(status, verified, accept_all):
    finding = _finding(status)
    assert (_accept(finding, VERIFIED).email is not None) is verified
    assert (_accept(finding, ACCEPT_ALL).email is not None) is accept_all


@pytest.mark.parametrize(
    "status", [status for status in EmailStatus if status is not EmailStatus.OBJECTED]
)
def test_a_phone_is_found_whatever_is_known_of_the_address(status):
    assert _accept(_finding(status)).phone == "+44 1"


def test_an_accepted_address_keeps_its_status():
    finding = _finding(EmailStatus.PROBABLE)
    assert _accept(finding, ACCEPT_ALL) == finding


def test_nothing_is_told_of_an_address_that_was_not_accepted():
    # Its status neither: that there is an address, and a bad one, is a finding too.
    assert _accept(_finding(EmailStatus.INVALID)) == Finding(phone="+44 1")


def test_who_objected_is_found_nowhere_by_phone_neither():
    for level in EmailLevel:
        assert _accept(_finding(EmailStatus.OBJECTED), level) == NOTHING


def test_a_missing_status_means_unknown():
    assert Finding(email="ada@acme.test").email_status is EmailStatus.UNKNOWN
    assert _accept(Finding(email="ada@acme.test"), ACCEPT_ALL) == NOTHING


def test_only_what_is_retrieved_is_found():
    finding = _finding(EmailStatus.VALID)
    assert _accept(finding, phone=False) == Finding("ada@acme.test", EmailStatus.VALID)
    assert _accept(finding, email=False) == Finding(phone="+44 1")
    assert _accept(finding, email=False, phone=False) == NOTHING


def test_who_objected_is_not_found_by_phone_where_no_email_is_asked_for():
    assert _accept(_finding(EmailStatus.OBJECTED), email=False) == NOTHING


def test_an_empty_address_or_number_was_not_found():
    assert _accept(Finding("", EmailStatus.VALID, "")) == NOTHING


@pytest.mark.parametrize(("status", "email", "verified_email"), ONLY_WITH)
def test_whom_only_with_delivers(status, email, verified_email):
    finding = _accept(_finding(status), ACCEPT_ALL)
    assert passes(finding, OnlyWith.EMAIL) is email
    assert passes(finding, OnlyWith.VERIFIED_EMAIL) is verified_email


@pytest.mark.parametrize("status", list(EmailStatus))
def test_without_only_with_everybody_is_delivered(status):
    assert passes(_accept(_finding(status)), None)
    assert passes(NOTHING, None)


@pytest.mark.parametrize("only_with", list(OnlyWith))
def test_who_has_only_a_phone_is_not_delivered_where_an_email_is_wanted(only_with):
    assert not passes(Finding(phone="+44 1"), only_with)


@pytest.mark.parametrize("only_with", list(OnlyWith))
def test_only_with_wants_an_address_and_not_a_status_alone(only_with):
    assert not passes(Finding(email_status=EmailStatus.VALID), only_with)
