"""Whatever is asked and whatever comes of it: the code says what the rules say."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.claims import Asked, Entitlement, Entitlements, PricedClaim, resolved
from pricing.plans import Item, PaymentTerm, Plan, terms_of
from pricing.quote import Quote, Tally
from pricing.settlement import Outcome, Result, due_claims
from tests.pricing import oracle
from tests.pricing.oracle import KNOWN, Asks, Became, Buyer, Past, Subject
from tests.support.priced import price_all

QUOTED_AT = datetime(2026, 6, 15, 12, 0, 0, tzinfo=UTC)

COMPANIES = ["c1", "c2"]
PERSONS = ["p1", "p2"]
DIGESTS = [KNOWN, "ada", "bob"]

# Around each edge of each window, and well inside and outside of them.
AGES = [
    timedelta(),
    timedelta(days=7),
    timedelta(days=30, seconds=-1),
    timedelta(days=30),
    timedelta(days=30, microseconds=1),
    timedelta(days=30, seconds=1),
    timedelta(days=200),
    timedelta(days=365),
    timedelta(days=365, microseconds=1),
    timedelta(days=365, seconds=1),
    timedelta(days=900),
]
instants = st.none() | st.sampled_from([QUOTED_AT - age for age in AGES])

buyers = st.builds(
    Buyer,
    plan=st.sampled_from(["V1", "V2", "V3"]),
    payment_term=st.sampled_from(["monthly", "yearly"]),
    # A quote falls within a second; the window does not care where.
    quoted_at=st.sampled_from([QUOTED_AT, QUOTED_AT + timedelta(microseconds=999_999)]),
)
subjects = st.one_of(
    st.builds(Subject, st.just("company"), st.sampled_from(COMPANIES), st.just(KNOWN)),
    st.builds(
        Subject,
        st.sampled_from(["email", "phone"]),
        st.sampled_from(PERSONS),
        st.sampled_from(DIGESTS),
    ),
)
histories = st.lists(
    st.builds(Past, subjects, instants, instants, st.sampled_from([True, True, False])),
    unique_by=lambda past: past.subject,
    max_size=10,
)
records_of_any = st.lists(
    st.builds(
        Asks,
        st.sampled_from(COMPANIES),
        st.none() | st.sampled_from(PERSONS),
        st.sampled_from(DIGESTS),
    ),
    max_size=10,
)
records_known = st.lists(
    st.builds(
        Asks,
        st.sampled_from(COMPANIES),
        st.none() | st.sampled_from(PERSONS),
        st.just(KNOWN),
    ),
    max_size=10,
)
items = st.sampled_from([(), ("email",), ("phone",), ("email", "phone")])
yes_no = st.booleans()
became = st.one_of(
    st.tuples(st.just("delivered"), yes_no, yes_no, yes_no).map(lambda it: Became(*it)),
    yes_no.map(lambda touched: Became("rejected", company_touched=touched)),
    st.sampled_from([Became("excluded"), Became("unreached")]),
)


@dataclass(frozen=True)
class Job:
    """Everything that decides what a job costs at most."""

    buyer: Buyer
    history: list[Past]
    records: list[Asks]
    retrieve: tuple[str, ...]
    batch_records: int | None = None
    """Priced so many at a time, with what recurs told; None holds every id."""


batches = st.none() | st.integers(1, 4)
jobs = st.builds(Job, buyers, histories, records_of_any, items, batches)
jobs_of_known = st.builds(Job, buyers, histories, records_known, items, batches)


def _entitlements(history: Sequence[Past]) -> Entitlements:
    """What storage hands over: only what is paid, by item and id."""
    paid: dict[tuple[Item, str], list[Entitlement]] = {}
    for past in history:
        if past.paid:
            key = (Item(past.subject.item), past.subject.id)
            entitlement = Entitlement(
                past.subject.digest, past.exported_at, past.viewed_at
            )
            paid.setdefault(key, []).append(entitlement)
    return paid


def _price(job: Job, available: int = 0) -> tuple[Quote, list[tuple[PricedClaim, ...]]]:
    """The quote, and the frozen claims of each record, none for a duplicate."""
    tally = Tally(
        terms=terms_of(Plan(job.buyer.plan), PaymentTerm(job.buyer.payment_term)),
        quoted_at=job.buyer.quoted_at,
        retrieve=tuple(Item(item) for item in job.retrieve),
        available=available,
    )
    paid = _entitlements(job.history)
    asked = [Asked(*record) for record in job.records]
    claims = price_all(tally, asked, paid, job.batch_records)
    frozen = list(map(resolved, claims, [one.digest for one in asked]))
    return tally.quote(), frozen


def _named(record: Asks, claims: Sequence[PricedClaim]) -> list[oracle.Ask]:
    """The code's claims in the oracle's words."""
    asked = Asked(record.company_id, record.person_id, record.digest)
    return [
        oracle.Ask(
            Subject(claim.item.value, asked.subject(claim.item), claim.digest),
            claim.credits,
        )
        for claim in claims
    ]


def _result(became: Became) -> Result:
    return Result(
        outcome=Outcome(became.outcome),
        email_found=became.email_found,
        phone_found=became.phone_found,
        unchanged=became.unchanged,
        company_due=became.company_touched,
    )


def _settle(job: Job, outcomes: Sequence[Became], order: Sequence[int]) -> int:
    """Settle in this order, each subject once: what is unchanged pays for nothing."""
    _, frozen = _price(job)
    charged: dict[Subject, int] = {}
    for place in order:
        record = job.records[place]
        asked = Asked(record.company_id, record.person_id, record.digest)
        for due in due_claims(frozen[place], _result(outcomes[place])):
            if not due.unchanged:
                subject = Subject(due.item.value, asked.subject(due.item), due.digest)
                charged.setdefault(subject, due.credits)
    return sum(charged.values())


def _outcomes(data: st.DataObject, job: Job) -> list[Became]:
    size = len(job.records)
    return data.draw(st.lists(became, min_size=size, max_size=size))


@given(jobs)
def test_a_quote_is_what_its_subjects_cost_each_once(job):
    quote, _ = _price(job)
    assert quote.max_credits == oracle.max_credits(
        job.buyer, job.history, job.records, job.retrieve
    )


@given(jobs)
def test_each_claim_is_frozen_at_the_price_that_the_rules_give_it(job):
    _, frozen = _price(job)
    named = [_named(*pair) for pair in zip(job.records, frozen, strict=True)]
    assert named == oracle.all_asks(job.buyer, job.history, job.records, job.retrieve)


@given(jobs)
def test_a_subject_has_one_price_in_a_job(job):
    _, frozen = _price(job)
    prices: dict[Subject, int] = {}
    for record, claims in zip(job.records, frozen, strict=True):
        for ask in _named(record, claims):
            assert prices.setdefault(ask.subject, ask.credits) == ask.credits


@given(jobs)
def test_the_lines_add_up_to_the_quote(job):
    quote, _ = _price(job)
    assert sum(line.credits for line in quote.lines) == quote.max_credits
    for line in quote.lines:
        assert line.credits == (line.count - line.free) * line.unit_credits
        assert line.unit_credits == oracle.PRICES[job.buyer.plan][line.item]


@given(jobs_of_known)
def test_a_line_counts_each_subject_once(job):
    quote, _ = _price(job)
    asks = oracle.all_asks(job.buyer, job.history, job.records, job.retrieve)
    subjects = {ask.subject for claims in asks for ask in claims}
    counted = {line.item.value: line.count for line in quote.lines}
    for item in ("company", "email", "phone"):
        of_item = [subject for subject in subjects if subject.item == item]
        assert counted.get(item, 0) == len(of_item)


@given(jobs)
def test_every_record_is_counted_or_a_duplicate(job):
    quote, _ = _price(job)
    once = oracle.distinct(job.records)
    assert quote.records == len(once)
    assert quote.duplicates == len(job.records) - len(once)
    assert quote.companies == len({record.company_id for record in once})
    persons = {record.person_id for record in once} - {None}
    assert quote.persons == len(persons)


@given(jobs)
def test_whoever_is_priced_as_new_is_listed(job):
    quote, _ = _price(job)
    assert list(quote.changed) == oracle.changed(
        job.buyer, job.history, job.records, job.retrieve
    )


@given(jobs, st.integers(0, 30))
def test_fits_records_is_the_most_that_can_be_paid_for(job, available):
    quote, _ = _price(job, available)
    assert quote.fits_records == oracle.fits_records(
        job.buyer, job.history, job.records, job.retrieve, available
    )
    assert quote.affordable == (quote.fits_records == quote.records)


@given(jobs, st.data())
def test_a_job_settles_at_most_at_its_quote(job, data):
    order = data.draw(st.permutations(range(len(job.records))))
    settled = _settle(job, _outcomes(data, job), order)
    assert settled <= _price(job)[0].max_credits


@given(jobs, st.data())
def test_a_job_settles_at_what_was_delivered_in_any_order(job, data):
    outcomes = _outcomes(data, job)
    order = data.draw(st.permutations(range(len(job.records))))
    assert _settle(job, outcomes, order) == oracle.settled(
        job.buyer, job.history, job.records, job.retrieve, outcomes
    )


@given(jobs)
def test_a_job_that_finds_and_delivers_everything_costs_its_whole_quote(job):
    everything = [Became("delivered", email_found=True, phone_found=True)]
    outcomes = everything * len(job.records)
    quote, _ = _price(job)
    assert _settle(job, outcomes, range(len(outcomes))) == quote.max_credits


@given(jobs_of_known, st.data())
def test_the_order_of_known_records_moves_no_price(job, data):
    shuffled = Job(
        job.buyer,
        job.history,
        data.draw(st.permutations(job.records)),
        job.retrieve,
        job.batch_records,
    )
    assert _price(shuffled)[0].max_credits == _price(job)[0].max_credits


@given(jobs)
def test_nobody_pays_more_for_having_bought_before(job):
    fresh = Job(job.buyer, [], job.records, job.retrieve)
    assert _price(job)[0].max_credits <= _price(fresh)[0].max_credits


@pytest.mark.parametrize("plan", list(Plan))
@pytest.mark.parametrize("term", list(PaymentTerm))
def test_the_oracle_and_the_table_know_the_same_plans(plan, term):
    terms = terms_of(plan, term)
    buyer = Buyer(plan.value, term.value, QUOTED_AT)
    assert oracle.PRICES[plan.value] == {
        "view": terms.view,
        **{item.value: terms.unit(item) for item in Item},
    }
    assert buyer.window == timedelta(days=terms.window_days)
