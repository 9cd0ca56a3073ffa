"""What a record did cost: pay only for what is delivered (rules 4 and 5)."""

import pytest

from pricing.claims import KNOWN, PricedClaim
from pricing.plans import Item
from pricing.settlement import DueClaim, Outcome, Result, due_claims

COMPANY, EMAIL, PHONE = Item.COMPANY, Item.EMAIL, Item.PHONE

PRICED = (
    PricedClaim(COMPANY, KNOWN, 1),
    PricedClaim(EMAIL, "ada", 1),
    PricedClaim(PHONE, "ada", 2),
)


def _due(result: Result, claims: tuple[PricedClaim, ...] = PRICED) -> dict[Item, int]:
    return {due.item: due.credits for due in due_claims(claims, result)}


def _delivered(*, email=False, phone=False, unchanged=False) -> Result:
    return Result(
        outcome=Outcome.DELIVERED,
        email_found=email,
        phone_found=phone,
        unchanged=unchanged,
    )


def test_a_delivered_record_owes_its_company():
    assert _due(_delivered()) == {COMPANY: 1}


def test_a_delivered_record_owes_what_was_found_and_nothing_else():
    assert _due(_delivered(email=True)) == {COMPANY: 1, EMAIL: 1}
    assert _due(_delivered(phone=True)) == {COMPANY: 1, PHONE: 2}
    assert _due(_delivered(email=True, phone=True)) == {COMPANY: 1, EMAIL: 1, PHONE: 2}


def test_what_was_found_but_not_asked_for_is_not_owed():
    company_alone = PRICED[:1]
    assert _due(_delivered(email=True, phone=True), company_alone) == {COMPANY: 1}


def test_what_is_free_is_due_too_so_that_it_has_its_line():
    free = tuple(claim._replace(credits=0) for claim in PRICED)
    everything = _delivered(email=True, phone=True)
    assert _due(everything, free) == {COMPANY: 0, EMAIL: 0, PHONE: 0}


def test_a_due_claim_names_the_subject_that_was_priced():
    assert due_claims(PRICED, _delivered(email=True)) == (
        DueClaim(COMPANY, KNOWN, 1, unchanged=False),
        DueClaim(EMAIL, "ada", 1, unchanged=False),
    )


def test_what_was_found_costs_nothing_where_only_the_company_has_changed():
    result = Result(
        outcome=Outcome.DELIVERED,
        email_found=True,
        phone_found=True,
        person_unchanged=True,
    )
    assert due_claims(PRICED, result) == (
        DueClaim(COMPANY, KNOWN, 1, unchanged=False),
        DueClaim(EMAIL, "ada", 0, unchanged=True),
        DueClaim(PHONE, "ada", 0, unchanged=True),
    )


def test_an_unchanged_record_has_its_lines_and_costs_nothing():
    result = _delivered(email=True, phone=True, unchanged=True)
    assert due_claims(PRICED, result) == (
        DueClaim(COMPANY, KNOWN, 0, unchanged=True),
        DueClaim(EMAIL, "ada", 0, unchanged=True),
        DueClaim(PHONE, "ada", 0, unchanged=True),
    )


@pytest.mark.parametrize("outcome", [Outcome.EXCLUDED, Outcome.UNREACHED])
@pytest.mark.parametrize("company_due", [True, False])
def test_an_excluded_or_unreached_record_owes_nothing(outcome, company_due):
    result = Result(
        outcome=outcome, email_found=True, phone_found=True, company_due=company_due
    )
    assert due_claims(PRICED, result) == ()


def test_a_rejected_record_owes_nothing():
    result = Result(outcome=Outcome.REJECTED, email_found=True, phone_found=True)
    assert due_claims(PRICED, result) == ()


def test_a_rejected_record_owes_its_companys_credit_where_that_is_due():
    result = Result(
        outcome=Outcome.REJECTED, email_found=True, phone_found=True, company_due=True
    )
    assert _due(result) == {COMPANY: 1}


@pytest.mark.parametrize("email", [True, False])
@pytest.mark.parametrize("phone", [True, False])
@pytest.mark.parametrize("outcome", list(Outcome))
def test_no_outcome_owes_more_than_was_priced(outcome, email, phone):
    result = Result(
        outcome=outcome, email_found=email, phone_found=phone, company_due=True
    )
    priced = {claim.item: claim.credits for claim in PRICED}
    for item, credits_ in _due(result).items():
        assert credits_ <= priced[item]
