"""What holds for every provider, the sandbox behind it."""

import asyncio
from decimal import Decimal

import pytest

from pricing.findings import EmailStatus
from pricing.plans import Item
from tests.findings.providers.provider_calls import (
    BOTH,
    PROVIDERS,
    ask,
    crowd,
    ended,
    person,
)
from worker.findings.providers.errors import (
    InDoubt,
    Misconfigured,
    OutOfCredits,
    RateLimited,
    Unavailable,
)
from worker.findings.providers.fullenrich import FullEnrich
from worker.findings.providers.hunter import Hunter
from worker.findings.providers.people_data_labs import PeopleDataLabs
from worker.sandbox import Behaviour, Fault

pytestmark = pytest.mark.parametrize("name", PROVIDERS)

_REFUSALS = {Fault.RATE_LIMITED: RateLimited, Fault.SERVER_ERROR: Unavailable}


def test_everybody_is_answered_for_and_a_share_is_found(with_box, name):
    async def scenario(box):
        return await ask(box, name, crowd(150))

    answers = with_box(scenario)
    assert answers.keys() == {f"p{number}" for number in range(150)}
    found = sum(bool(answer.finding.email) for answer in answers.values())
    assert 75 < found < 140


def test_what_was_paid_is_what_the_vendor_charged(with_box, name):
    async def scenario(box):
        answers = await ask(box, name, crowd(40))
        return answers, await box.tally(name)

    answers, tally = with_box(scenario)
    paid = sum(answer.paid for answer in answers.values())
    assert paid == Decimal(tally["charged"]) > 0


def test_the_same_question_has_the_same_answer(with_box, name):
    async def scenario(box):
        return await ask(box, name, crowd(20)), await ask(box, name, crowd(20))

    first, again = with_box(scenario)
    assert first == again


def test_what_is_not_found_is_not_paid(with_box, name):
    async def scenario(box):
        await box.behave(name, Behaviour(hit_rate=0))
        return await ask(box, name, crowd(5)), await box.tally(name)

    answers, tally = with_box(scenario)
    assert len(answers) == 5
    assert {(a.finding.email, a.finding.phone, a.paid) for a in answers.values()} == {
        (None, None, Decimal(0))
    }
    assert tally["charged"] == "0"


def test_nobody_pays_for_what_was_not_asked_for(with_box, name):
    async def scenario(box):
        await box.behave(name, Behaviour(hit_rate=1))
        return await ask(box, name, crowd(5), frozenset({Item.EMAIL}))

    answers = with_box(scenario)
    assert all(answer.finding.phone is None for answer in answers.values())
    assert all(answer.paid <= 1 for answer in answers.values())


def test_a_person_of_whom_too_little_is_known_is_not_found(with_box, name):
    async def scenario(box):
        return await ask(box, name, [person(1, last_name=""), person(2)])

    answers = with_box(scenario)
    assert answers.keys() == {"p1", "p2"}
    assert answers["p1"].finding.email is None


def test_an_id_may_be_as_long_as_ids_are(with_box, name):
    async def scenario(box):
        return await ask(box, name, [person(1, id="é" * 200)])

    assert with_box(scenario).keys() == {"é" * 200}


@pytest.mark.parametrize("fault", _REFUSALS, ids=str)
def test_a_refusal_says_what_it_means_and_answers_nobody(with_box, name, fault):
    async def scenario(box):
        await box.behave(name, Behaviour(fault=fault))
        try:
            with pytest.raises(_expected(name, fault)):
                await ask(box, name, crowd(1))
        finally:
            # Only the one request met the fault.
            assert await ask(box, name, crowd(1))

    with_box(scenario)


def _expected(name, fault):
    # Of a submitted request nobody knows what became of it behind a bad gateway.
    submitted = name == "fullenrich" and fault is Fault.SERVER_ERROR
    return InDoubt if submitted else _REFUSALS[fault]


def test_a_key_that_is_not_taken_is_a_persons_business(with_box, name):
    kinds = {
        "hunter": Hunter,
        "people_data_labs": PeopleDataLabs,
        "fullenrich": FullEnrich,
    }

    async def scenario(box):
        provider = kinds[name](box.http, key="", url=f"{box.url}/{name}")
        asked = (
            provider.submit("lkp_1", crowd(1), BOTH, None)
            if name == "fullenrich"
            else provider.look_up(crowd(1), BOTH)
        )
        with pytest.raises(Misconfigured):
            await asked

    with_box(scenario)


def test_a_slow_vendor_is_not_waited_for(with_box, name):
    async def scenario(box):
        await box.behave(name, Behaviour(fault=Fault.SLOW))
        with pytest.raises((Unavailable, InDoubt)):
            await ask(box, name, crowd(1))

    with_box(scenario, timeout_s=0.2)


def test_many_questions_are_under_way_at_once(with_box, name):
    async def scenario(box):
        await box.behave(name, Behaviour(latency_ms=500, finish_ms=0))
        size = getattr(box, name).persons_max
        requests = 20 if size == 1 else 6
        began_s = asyncio.get_running_loop().time()
        await ask(box, name, crowd(requests * size))
        return requests, asyncio.get_running_loop().time() - began_s

    # One after the other could never end before all of their waits together.
    requests, took_s = with_box(scenario)
    assert took_s < requests * 0.5


def test_statuses_are_ours(with_box, name):
    async def scenario(box):
        return await ask(box, name, crowd(100))

    statuses = {answer.finding.email_status for answer in with_box(scenario).values()}
    assert statuses <= set(EmailStatus)
    if name != "people_data_labs":
        assert {EmailStatus.VALID, EmailStatus.ACCEPT_ALL} <= statuses


def test_spent_credits_are_told_apart_from_limits(with_box, name):
    async def scenario(box):
        await box.behave(name, Behaviour(fault=Fault.OUT_OF_CREDITS))
        if name == "fullenrich":
            vendor_id = await box.fullenrich.submit("lkp_1", crowd(1), BOTH, None)
            report = await ended(box.fullenrich, vendor_id)
            assert report.out_of_credits
            assert not report.answers
        else:
            with pytest.raises(OutOfCredits):
                await ask(box, name, crowd(1))

    with_box(scenario)
