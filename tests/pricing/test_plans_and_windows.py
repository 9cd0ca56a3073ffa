"""What a plan costs, and for how long what was paid for stays free (rule 1)."""

from datetime import UTC, datetime, timedelta

import pytest

from pricing.claims import KNOWN, Entitlement, is_free
from pricing.plans import CURRENT_VERSION, Item, PaymentTerm, Plan, terms_of
from pricing.settlement import FreeBecause, view_price

NOON = datetime(2026, 6, 15, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)

EVERY_PLAN = [(plan, term) for plan in Plan for term in PaymentTerm]
WINDOWS = [
    (Plan.V1, PaymentTerm.MONTHLY, 30),
    (Plan.V1, PaymentTerm.YEARLY, 30),
    (Plan.V2, PaymentTerm.MONTHLY, 30),
    (Plan.V2, PaymentTerm.YEARLY, 30),
    (Plan.V3, PaymentTerm.MONTHLY, 30),
    (Plan.V3, PaymentTerm.YEARLY, 365),
]
V2 = terms_of(Plan.V2, PaymentTerm.MONTHLY)
V3 = terms_of(Plan.V3, PaymentTerm.MONTHLY)


def _exported(at: datetime) -> Entitlement:
    return Entitlement(KNOWN, exported_at=at, viewed_at=None)


def _viewed(at: datetime) -> Entitlement:
    return Entitlement(KNOWN, exported_at=None, viewed_at=at)


def _free(entitlement, terms, item=Item.COMPANY, at=NOON) -> bool:
    return is_free(entitlement, item, terms, terms.window_starts(at))


@pytest.mark.parametrize(("plan", "term"), EVERY_PLAN)
def test_a_company_costs_1_an_email_1_and_a_phone_2_on_every_plan(plan, term):
    terms = terms_of(plan, term)
    assert terms.unit(Item.COMPANY) == 1
    assert terms.unit(Item.EMAIL) == 1
    assert terms.unit(Item.PHONE) == 2


@pytest.mark.parametrize(
    ("plan", "credits_"), [(Plan.V1, 0), (Plan.V2, 0), (Plan.V3, 1)]
)
@pytest.mark.parametrize("term", list(PaymentTerm))
def test_a_view_costs_1_on_v3_alone(plan, term, credits_):
    assert view_price(terms_of(plan, term), None, NOON)[0] == credits_


@pytest.mark.parametrize(("plan", "term"), EVERY_PLAN)
def test_terms_say_which_plan_term_and_table_they_were_frozen_from(plan, term):
    terms = terms_of(plan, term)
    assert (terms.plan, terms.payment_term) == (plan, term)
    assert terms.version == CURRENT_VERSION == 1


@pytest.mark.parametrize(("plan", "term", "days"), WINDOWS)
def test_an_export_exactly_one_window_ago_still_counts(plan, term, days):
    assert _free(_exported(NOON - timedelta(days=days)), terms_of(plan, term))


@pytest.mark.parametrize(("plan", "term", "days"), WINDOWS)
def test_an_export_one_second_longer_ago_does_not_count(plan, term, days):
    past = NOON - timedelta(days=days) - SECOND
    assert not _free(_exported(past), terms_of(plan, term))


def test_the_window_is_measured_in_whole_seconds():
    late_in_the_second = NOON + timedelta(microseconds=999_999)
    past = _exported(NOON - timedelta(days=30))
    assert _free(past, V2, at=late_in_the_second)
    assert not _free(past, V2, at=NOON + SECOND)


@pytest.mark.parametrize("item", list(Item))
def test_each_item_is_freed_by_its_export(item):
    assert _free(_exported(NOON), V2, item)
    assert _free(_exported(NOON), V3, item)


def test_what_was_never_used_is_not_free():
    never = Entitlement(KNOWN, exported_at=None, viewed_at=None)
    assert not any(_free(never, V3, item) for item in Item)


def test_a_view_frees_a_company_on_v3_up_to_exactly_one_window():
    assert _free(_viewed(NOON - timedelta(days=30)), V3)
    assert not _free(_viewed(NOON - timedelta(days=30) - SECOND), V3)


@pytest.mark.parametrize("plan", [Plan.V1, Plan.V2])
def test_a_view_frees_nothing_on_v1_and_v2(plan):
    # Such a view was paid on V3, before the license changed its plan.
    assert not _free(_viewed(NOON), terms_of(plan, PaymentTerm.MONTHLY))


@pytest.mark.parametrize("item", [Item.EMAIL, Item.PHONE])
def test_a_view_frees_no_email_and_no_phone(item):
    assert not _free(_viewed(NOON), V3, item)


def test_a_recent_view_frees_what_was_exported_too_long_ago_on_v3():
    old = NOON - timedelta(days=60)
    both = Entitlement(KNOWN, exported_at=old, viewed_at=NOON)
    assert _free(both, V3)
    assert not _free(both, V2)


@pytest.mark.parametrize("plan", [Plan.V1, Plan.V2])
def test_views_are_free_by_plan_on_v1_and_v2_whatever_was_done_before(plan):
    terms = terms_of(plan, PaymentTerm.YEARLY)
    for before in (None, _exported(NOON), _viewed(NOON)):
        assert view_price(terms, before, NOON) == (0, FreeBecause.PLAN)


def test_the_first_view_costs_1_on_v3_and_a_second_one_is_free():
    assert view_price(V3, None, NOON) == (1, None)
    assert view_price(V3, _viewed(NOON), NOON) == (0, FreeBecause.VIEWED)


def test_a_view_is_free_on_v3_because_the_company_was_exported():
    exported = _exported(NOON - timedelta(days=30))
    assert view_price(V3, exported, NOON) == (0, FreeBecause.EXPORTED)


def test_of_export_and_view_the_one_in_the_window_says_why_a_view_is_free():
    old, recent = NOON - timedelta(days=31), NOON - timedelta(days=1)
    assert view_price(V3, Entitlement(KNOWN, recent, recent), NOON) == (
        0,
        FreeBecause.EXPORTED,
    )
    assert view_price(V3, Entitlement(KNOWN, old, recent), NOON) == (
        0,
        FreeBecause.VIEWED,
    )


def test_a_view_costs_again_once_the_window_has_passed():
    v3_yearly = terms_of(Plan.V3, PaymentTerm.YEARLY)
    month_ago = _viewed(NOON - timedelta(days=30) - SECOND)
    year_ago = _viewed(NOON - timedelta(days=365) - SECOND)
    assert view_price(V3, month_ago, NOON) == (1, None)
    assert view_price(v3_yearly, month_ago, NOON) == (0, FreeBecause.VIEWED)
    assert view_price(v3_yearly, year_ago, NOON) == (1, None)
