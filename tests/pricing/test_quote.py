"""The quote: the most a job can cost, line by line (rules 2, 3, 6, 8 and 9)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from pricing.claims import (
    KNOWN,
    Asked,
    AskedColumns,
    Entitlement,
    Entitlements,
    PricedClaim,
    resolved,
)
from pricing.plans import Item, PaymentTerm, Plan, terms_of
from pricing.quote import Changed, Line, Quote, Recurring, Tally, expires_at
from tests.support.priced import price, price_all

NOON = datetime(2026, 6, 15, 12, 0, 0, tzinfo=UTC)
LATELY = NOON - timedelta(days=1)
TOO_LONG_AGO = NOON - timedelta(days=31)

COMPANY, EMAIL, PHONE = Item.COMPANY, Item.EMAIL, Item.PHONE
BOTH = (EMAIL, PHONE)
ADA, BOB = "digest-of-ada", "digest-of-bob"


def _paid(
    item: Item, subject: str, digest: str = KNOWN, at: datetime = LATELY
) -> Entitlements:
    return {(item, subject): [Entitlement(digest, at, None)]}


def _tally(
    plan: Plan = Plan.V2, retrieve: tuple[Item, ...] = (), available: int = 1000
) -> Tally:
    return Tally(
        terms=terms_of(plan, PaymentTerm.MONTHLY),
        quoted_at=NOON,
        retrieve=retrieve,
        available=available,
    )


def _price(
    tally: Tally, records: Sequence[Asked], paid: Entitlements | None = None
) -> list[tuple[PricedClaim, ...]]:
    """The claims of each record, none for a duplicate."""
    claims = price_all(tally, records, paid or {})
    return list(map(resolved, claims, [asked.digest for asked in records]))


def _quote(tally: Tally, *records: Asked, paid: Entitlements | None = None) -> Quote:
    _price(tally, records, paid)
    return tally.quote()


def _line(item: Item, count: int, free: int, unit: int) -> Line:
    credits_ = (count - free) * unit
    return Line(item=item, count=count, free=free, unit_credits=unit, credits=credits_)


@pytest.mark.parametrize("plan", list(Plan))
def test_a_company_costs_1(plan):
    assert _quote(_tally(plan), Asked("acme")).max_credits == 1


@pytest.mark.parametrize("plan", list(Plan))
def test_all_contacts_of_a_company_share_its_one_credit(plan):
    contacts = [Asked("acme", f"person-{n}") for n in range(10)]
    quote = _quote(_tally(plan), *contacts)
    assert quote.max_credits == 1
    assert quote.lines == (_line(COMPANY, 1, 0, 1),)


@pytest.mark.parametrize("plan", list(Plan))
def test_a_company_is_free_when_its_contacts_are_exported_with_it(plan):
    alone_first = [Asked("acme"), Asked("acme", "ada"), Asked("acme", "bob")]
    assert _quote(_tally(plan), *alone_first).max_credits == 1
    assert _quote(_tally(plan), *reversed(alone_first)).max_credits == 1


@pytest.mark.parametrize("plan", list(Plan))
def test_an_email_costs_1_and_a_phone_2_more(plan):
    person = Asked("acme", "ada")
    assert _quote(_tally(plan, (EMAIL,)), person).max_credits == 1 + 1
    assert _quote(_tally(plan, (PHONE,)), person).max_credits == 1 + 2
    assert _quote(_tally(plan, BOTH), person).max_credits == 1 + 1 + 2


def test_nothing_is_retrieved_for_a_company_alone():
    (claims,) = _price(_tally(retrieve=BOTH), [Asked("acme")])
    assert claims == (PricedClaim(COMPANY, KNOWN, 1),)


def test_the_lines_say_what_is_counted_free_and_paid():
    paid = {**_paid(COMPANY, "acme"), **_paid(PHONE, "ada")}
    quote = _quote(
        _tally(retrieve=BOTH),
        Asked("acme", "ada"),
        Asked("acme", "bob"),
        Asked("brio", "cleo"),
        paid=paid,
    )
    assert quote.lines == (
        _line(COMPANY, 2, 1, 1),
        _line(EMAIL, 3, 0, 1),
        _line(PHONE, 3, 1, 2),
    )
    assert quote.max_credits == 1 + 3 + 4
    assert (quote.records, quote.companies, quote.persons) == (3, 2, 3)


def test_a_quote_carries_its_terms_and_its_moment():
    quote = _quote(_tally(Plan.V3), Asked("acme"))
    assert quote.terms == terms_of(Plan.V3, PaymentTerm.MONTHLY)
    assert quote.quoted_at == NOON


def test_without_records_there_are_no_lines():
    quote = _quote(_tally())
    assert (quote.max_credits, quote.lines, quote.fits_records) == (0, (), 0)


@pytest.mark.parametrize("item", [COMPANY, EMAIL, PHONE])
def test_what_was_exported_in_the_window_is_free(item):
    subject = "acme" if item is COMPANY else "ada"
    person = Asked("acme", "ada")
    fresh = _quote(_tally(retrieve=BOTH), person).max_credits
    paid = _quote(_tally(retrieve=BOTH), person, paid=_paid(item, subject))
    assert fresh - paid.max_credits == (2 if item is PHONE else 1)


@pytest.mark.parametrize("item", [COMPANY, EMAIL, PHONE])
def test_what_was_exported_before_the_window_costs_again(item):
    subject = "acme" if item is COMPANY else "ada"
    person = Asked("acme", "ada")
    paid = _paid(item, subject, at=TOO_LONG_AGO)
    assert _quote(_tally(retrieve=BOTH), person, paid=paid).max_credits == 4


def test_a_view_frees_the_company_on_v3_alone():
    viewed = {(COMPANY, "acme"): [Entitlement(KNOWN, None, LATELY)]}
    assert _quote(_tally(Plan.V3), Asked("acme"), paid=viewed).max_credits == 0
    assert _quote(_tally(Plan.V2), Asked("acme"), paid=viewed).max_credits == 1
    assert _quote(_tally(Plan.V1), Asked("acme"), paid=viewed).max_credits == 1


def test_an_item_frees_only_itself():
    paid = _paid(EMAIL, "ada")
    (claims,) = _price(_tally(retrieve=BOTH), [Asked("acme", "ada")], paid)
    assert claims == (
        PricedClaim(COMPANY, KNOWN, 1),
        PricedClaim(EMAIL, KNOWN, 0),
        PricedClaim(PHONE, KNOWN, 2),
    )


def test_an_email_stays_free_when_the_person_moves_to_another_company():
    # The credit is the person's; only the new company costs.
    quote = _quote(
        _tally(retrieve=(EMAIL,)), Asked("brio", "ada"), paid=_paid(EMAIL, "ada")
    )
    assert quote.max_credits == 1


def test_the_same_company_twice_is_a_duplicate_and_the_first_counts():
    quote = _quote(_tally(), Asked("acme"), Asked("acme"), Asked("acme"))
    assert (quote.records, quote.duplicates, quote.max_credits) == (1, 2, 1)


def test_the_same_person_at_the_same_company_is_a_duplicate_whatever_the_names():
    tally = _tally(retrieve=(EMAIL,))
    quote = _quote(tally, Asked("acme", "ada", ADA), Asked("acme", "ada", BOB))
    assert (quote.records, quote.duplicates, quote.max_credits) == (1, 1, 2)
    assert quote.changed == ()


def test_a_company_with_a_person_and_without_are_two_records():
    quote = _quote(_tally(), Asked("acme"), Asked("acme", "ada"))
    assert (quote.records, quote.duplicates) == (2, 0)


def test_ids_are_compared_exactly():
    quote = _quote(_tally(), Asked("acme"), Asked("Acme"), Asked("acme "))
    assert (quote.companies, quote.max_credits) == (3, 3)


def test_a_company_and_a_person_may_bear_the_same_id():
    paid = _paid(COMPANY, "x")
    quote = _quote(_tally(retrieve=(EMAIL,)), Asked("x", "x"), paid=paid)
    assert quote.max_credits == 1


def test_a_known_person_at_two_companies_is_two_records_and_one_email():
    quote = _quote(_tally(retrieve=BOTH), Asked("acme", "ada"), Asked("brio", "ada"))
    assert (quote.records, quote.persons) == (2, 1)
    assert quote.lines == (
        _line(COMPANY, 2, 0, 1),
        _line(EMAIL, 1, 0, 1),
        _line(PHONE, 1, 0, 2),
    )


def test_an_unknown_person_at_two_companies_of_one_domain_is_one_email():
    quote = _quote(
        _tally(retrieve=(EMAIL,)),
        Asked("acme", "ada", ADA),
        Asked("acme-two", "ada", ADA),
    )
    assert quote.max_credits == 2 + 1
    assert quote.changed == ()


def test_an_unknown_person_at_two_domains_is_two_subjects_and_listed():
    quote = _quote(
        _tally(retrieve=BOTH),
        Asked("acme", "ada", ADA),
        Asked("brio", "ada", BOB),
    )
    assert quote.max_credits == 2 + 2 * 1 + 2 * 2
    assert quote.changed == (Changed(2, EMAIL, "ada"), Changed(2, PHONE, "ada"))
    assert quote.persons == 1


def test_an_unknown_person_with_the_same_names_is_free():
    paid = _paid(EMAIL, "ada", ADA)
    quote = _quote(_tally(retrieve=(EMAIL,)), Asked("acme", "ada", ADA), paid=paid)
    assert quote.max_credits == 1
    assert quote.changed == ()


def test_the_same_id_with_other_names_is_priced_as_new_and_listed():
    paid = _paid(EMAIL, "ada", ADA)
    quote = _quote(
        _tally(retrieve=(EMAIL,)),
        Asked("brio"),
        Asked("acme", "ada", BOB),
        paid=paid,
    )
    assert quote.max_credits == 2 + 1
    assert quote.changed == (Changed(2, EMAIL, "ada"),)


def test_only_the_items_that_were_paid_for_as_somebody_else_are_listed():
    paid = _paid(PHONE, "ada", ADA)
    quote = _quote(_tally(retrieve=BOTH), Asked("acme", "ada", BOB), paid=paid)
    assert quote.changed == (Changed(1, PHONE, "ada"),)


def test_an_id_whose_credit_has_lapsed_is_new_but_not_changed():
    paid = _paid(EMAIL, "ada", ADA, at=TOO_LONG_AGO)
    quote = _quote(_tally(retrieve=(EMAIL,)), Asked("acme", "ada", BOB), paid=paid)
    assert quote.max_credits == 2
    assert quote.changed == ()


def test_a_known_id_goes_on_with_the_subject_that_was_paid_for():
    # The person was bought before the directory had it; the id alone decides now.
    paid = _paid(EMAIL, "ada", ADA)
    (claims,) = _price(_tally(retrieve=(EMAIL,)), [Asked("acme", "ada")], paid)
    assert claims[1] == PricedClaim(EMAIL, ADA, 0)


def test_a_known_id_goes_on_as_known_where_it_was_paid_for_as_that():
    paid = {
        (EMAIL, "ada"): [
            Entitlement(ADA, LATELY, None),
            Entitlement(KNOWN, LATELY, None),
        ]
    }
    (claims,) = _price(_tally(retrieve=(EMAIL,)), [Asked("acme", "ada")], paid)
    assert claims[1] == PricedClaim(EMAIL, KNOWN, 0)


def test_a_known_id_that_was_paid_for_as_two_goes_on_with_one_of_them_always():
    two = [Entitlement(BOB, LATELY, None), Entitlement(ADA, LATELY, None)]
    for entitlements in (two, two[::-1]):
        tally = _tally(retrieve=(EMAIL,))
        paid = {(EMAIL, "ada"): entitlements}
        (claims,) = _price(tally, [Asked("acme", "ada")], paid)
        assert claims[1] == PricedClaim(EMAIL, ADA, 0)


def test_a_known_id_whose_credit_has_lapsed_starts_anew():
    paid = _paid(EMAIL, "ada", ADA, at=TOO_LONG_AGO)
    (claims,) = _price(_tally(retrieve=(EMAIL,)), [Asked("acme", "ada")], paid)
    assert claims[1] == PricedClaim(EMAIL, KNOWN, 1)


def test_a_known_id_is_never_listed_as_changed():
    paid = _paid(EMAIL, "ada", ADA)
    quote = _quote(_tally(retrieve=BOTH), Asked("acme", "ada"), paid=paid)
    assert quote.changed == ()


def test_a_price_stays_as_it_was_first_asked_whatever_is_paid_meanwhile():
    # A long file is priced batch by batch, and each looks up what was paid by then.
    tally = _tally(retrieve=(EMAIL,))
    first, second = Asked("acme", "ada", ADA), Asked("brio", "ada", ADA)
    early = resolved(price(tally, 1, first, ADA, {}), ADA)
    late = resolved(price(tally, 2, second, ADA, _paid(EMAIL, "ada", ADA)), ADA)
    assert early[1] == late[1] == PricedClaim(EMAIL, ADA, 1)


def test_a_quote_is_affordable_up_to_the_last_credit():
    assert _quote(_tally(available=2), Asked("acme"), Asked("brio")).affordable
    assert not _quote(_tally(available=1), Asked("acme"), Asked("brio")).affordable


def test_a_quote_of_nothing_is_affordable_with_nothing():
    quote = _quote(_tally(available=0), Asked("acme"), paid=_paid(COMPANY, "acme"))
    assert (quote.max_credits, quote.affordable, quote.fits_records) == (0, True, 1)


@pytest.mark.parametrize(
    ("available", "fits"), [(0, 0), (1, 1), (2, 3), (3, 4), (100, 4)]
)
def test_fits_records_counts_the_first_that_can_be_paid_for(available, fits):
    # They cost 1, 2, 2 (a contact of the second) and 3 credits together.
    quote = _quote(
        _tally(available=available),
        Asked("a"),
        Asked("b"),
        Asked("b", "ada"),
        Asked("c"),
    )
    assert quote.fits_records == fits
    assert quote.available == available


def test_fits_records_leaves_duplicates_out():
    records = [Asked("a"), Asked("a"), Asked("b"), Asked("b"), Asked("c")]
    assert _quote(_tally(available=2), *records).fits_records == 2


def test_fits_records_goes_on_over_what_is_free():
    paid = _paid(COMPANY, "b")
    records = [Asked("a"), Asked("b"), Asked("c")]
    assert _quote(_tally(available=1), *records, paid=paid).fits_records == 2


def test_fits_records_does_not_skip_what_is_too_dear():
    # Were the second left out, the third would fit; but it is the first n that count.
    paid = {**_paid(COMPANY, "a"), **_paid(COMPANY, "b"), **_paid(EMAIL, "cy")}
    quote = _quote(
        _tally(retrieve=(EMAIL,), available=0),
        Asked("a"),
        Asked("a", "ada"),
        Asked("b", "cy"),
        paid=paid,
    )
    assert quote.fits_records == 1


def test_a_quote_ends_after_its_lifetime():
    assert expires_at(NOON, 900, None) == NOON + timedelta(minutes=15)


def test_a_quote_ends_at_the_latest_with_its_period():
    soon, later = NOON + timedelta(minutes=5), NOON + timedelta(days=5)
    assert expires_at(NOON, 900, soon) == soon
    assert expires_at(NOON, 900, later) == NOON + timedelta(minutes=15)


def test_a_subject_has_one_price_and_one_count_however_its_id_was_known():
    tally = _tally(retrieve=(EMAIL,))
    first = price(tally, 1, Asked("acme", "ada"), KNOWN, _paid(EMAIL, "ada", ADA))
    second = price(tally, 2, Asked("other", "ada", ADA), ADA, {})
    assert first[1:] == second[1:] == (PricedClaim(EMAIL, ADA, 0),)
    assert tally.quote().lines[1] == _line(EMAIL, 1, 1, 1)
    assert tally.quote().changed == ()


def test_a_company_that_is_left_out_for_a_while_still_has_been_paid_for():
    tally = _tally()
    nothing = Recurring(frozenset(), frozenset())
    for number, left_out in ((1, False), (2, True), (3, False)):
        columns = AskedColumns.by_digests(
            [number], ["acme"], [f"person-{number}"], [KNOWN]
        )
        tally.price_all(
            columns, {}, recurring=nothing, left_out={number} if left_out else set()
        )
    quote = tally.quote()
    assert (quote.max_credits, quote.companies, quote.persons) == (1, 1, 2)
    assert (quote.records, quote.excluded) == (3, 1)
