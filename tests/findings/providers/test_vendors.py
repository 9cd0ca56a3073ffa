"""What is peculiar to one vendor."""

import asyncio
import json
from decimal import Decimal

import pytest
from aiohttp import web

from pricing.findings import EmailStatus
from pricing.plans import Item
from tests.findings.providers.provider_calls import BOTH, ask, crowd, ended, person
from worker.findings.providers.errors import (
    BadSignature,
    InDoubt,
    RateLimited,
    Unavailable,
)
from worker.sandbox import Behaviour, Fault
from worker.sandbox.people import OBJECTED


class Inbox:
    """A server of ours that vendors send webhooks to."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()
        self._runner: web.AppRunner | None = None

    async def open(self) -> str:
        """Listen; the URL."""
        app = web.Application()
        app.add_routes([web.post("/hook", self._take)])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}/hook"

    async def close(self) -> None:
        """Stop listening."""
        assert self._runner is not None
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        await self.received.put((dict(request.headers), await request.read()))
        return web.Response()


# -- Hunter -------------------------------------------------------------------


def test_hunter_says_who_has_objected(with_box):
    async def scenario(box):
        return await ask(box, "hunter", [person(1, last_name=OBJECTED)])

    answer = with_box(scenario)["p1"]
    assert answer.finding.email_status is EmailStatus.OBJECTED
    assert (answer.finding.email, answer.paid) == (None, Decimal(0))


def test_hunter_verifies_for_half_a_credit(with_box):
    async def scenario(box):
        good = await box.hunter.verify("ada@engine.example")
        return good, await box.hunter.verify("a+b@engine.example")

    assert with_box(scenario) == (
        (EmailStatus.VALID, Decimal("0.5")),
        (EmailStatus.ACCEPT_ALL, Decimal("0.5")),
    )


def test_a_verification_that_takes_long_is_asked_about_again(with_box):
    async def scenario(box):
        await box.behave("hunter", Behaviour(fault=Fault.NOT_YET, times=2))
        return await box.hunter.verify("ada@engine.example")

    assert with_box(scenario) == (EmailStatus.VALID, Decimal("0.5"))


def test_a_verification_that_never_ends_says_nothing_and_costs_nothing(with_box):
    async def scenario(box):
        await box.behave("hunter", Behaviour(fault=Fault.NOT_YET, times=100))
        return await box.hunter.verify("ada@engine.example")

    assert with_box(scenario) == (EmailStatus.UNKNOWN, Decimal(0))


# -- People Data Labs ---------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.FEWER, Fault.SHUFFLED])
def test_results_are_taken_by_their_mark_and_not_by_their_place(with_box, fault):
    async def scenario(box):
        right = await ask(box, "people_data_labs", crowd(30))
        await box.behave("people_data_labs", Behaviour(fault=fault))
        return right, await ask(box, "people_data_labs", crowd(30))

    right, found = with_box(scenario)
    assert len(found) == (29 if fault is Fault.FEWER else 30)
    assert found == {key: right[key] for key in found}


def test_an_answer_that_is_no_answer_answers_nobody(with_box):
    async def scenario(box):
        for vendor in ("people_data_labs", "hunter"):
            for fault in (Fault.GARBLED, Fault.CUT):
                # A GET on a connection that was kept alive is sent a second time.
                await box.behave(vendor, Behaviour(fault=fault, times=2))
                with pytest.raises(Unavailable):
                    await ask(box, vendor, crowd(1))

    with_box(scenario)


def test_an_address_that_nobody_verified_is_unknown(with_box):
    async def scenario(box):
        return await ask(box, "people_data_labs", crowd(30))

    statuses = {a.finding.email_status for a in with_box(scenario).values()}
    assert statuses == {EmailStatus.UNKNOWN}


def test_the_labs_are_left_alone_until_their_limit_ends(with_box):
    async def scenario(box):
        await box.behave("people_data_labs", Behaviour(fault=Fault.RATE_LIMITED))
        with pytest.raises(RateLimited) as raised:
            await ask(box, "people_data_labs", crowd(1))
        return raised.value.until_s

    # To the end of their minute, not for a minute from now.
    assert 1 <= with_box(scenario) <= 60


# -- FullEnrich ---------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.SLOW, Fault.GARBLED])
def test_a_submit_without_an_answer_is_in_doubt(with_box, fault):
    async def scenario(box):
        await box.behave("fullenrich", Behaviour(fault=fault, slow_ms=2_000))
        with pytest.raises(InDoubt):
            await box.fullenrich.submit("lkp_1", crowd(1), BOTH, None)

    with_box(scenario, timeout_s=0.5)


def test_a_submit_that_cannot_have_arrived_is_not_in_doubt(with_box, unused_port):
    async def scenario(box):
        nowhere = type(box.fullenrich)(
            box.http, key="k", url=f"http://127.0.0.1:{unused_port}"
        )
        with pytest.raises(Unavailable):
            await nowhere.submit("lkp_1", crowd(1), BOTH, None)

    with_box(scenario)


@pytest.mark.parametrize(
    ("fault", "times"), [(None, 1), (Fault.WEBHOOK_TWICE, 2), (Fault.WEBHOOK_NEVER, 0)]
)
def test_a_webhook_carries_our_ids_and_the_vendors_signature(with_box, fault, times):
    async def scenario(box):
        inbox = Inbox()
        url = await inbox.open()
        await box.behave("fullenrich", Behaviour(fault=fault, finish_ms=0))
        provider = box.fullenrich
        vendor_id = await provider.submit("lkp_7", crowd(3), BOTH, url)
        polled = await ended(provider, vendor_id)
        for _ in range(times):
            headers, body = await inbox.received.get()
            assert provider.read_webhook(headers, body) == polled
        await inbox.close()
        assert inbox.received.empty()
        return polled, vendor_id

    report, vendor_id = with_box(scenario)
    assert (report.request_id, report.vendor_id) == ("lkp_7", vendor_id)
    assert report.answers.keys() == {"p0", "p1", "p2"}
    assert report.finished


def test_a_request_cut_off_is_matched_by_its_webhook(with_box):
    async def scenario(box):
        inbox = Inbox()
        url = await inbox.open()
        await box.behave("fullenrich", Behaviour(fault=Fault.CUT, finish_ms=0))
        with pytest.raises(InDoubt):
            await box.fullenrich.submit("lkp_9", crowd(2), BOTH, url)
        report = box.fullenrich.read_webhook(*await inbox.received.get())
        await inbox.close()
        return report

    report = with_box(scenario)
    assert report.request_id == "lkp_9"
    assert len(report.answers) == 2


def test_a_webhook_that_the_vendor_has_not_signed_is_not_read(with_box):
    async def scenario(box):
        body = json.dumps({"id": "x", "status": "FINISHED", "data": []}).encode()
        for headers in (
            {},
            {"X-Signature-SHA1": "0" * 40},
            {"X-Signature-SHA1": "é"},
        ):
            with pytest.raises(BadSignature):
                box.fullenrich.read_webhook(headers, body)

    with_box(scenario)


def test_what_was_found_until_the_credits_ran_out_is_kept(with_box):
    async def scenario(box):
        short = Behaviour(fault=Fault.OUT_OF_CREDITS, hit_rate=1)
        await box.behave("fullenrich", short)
        vendor_id = await box.fullenrich.submit("lkp_1", crowd(20), BOTH, None)
        report = await ended(box.fullenrich, vendor_id)
        return report, await box.tally("fullenrich")

    report, tally = with_box(scenario)
    assert report.out_of_credits
    # Of the others nobody knows: they are not answered as having nothing.
    assert report.answers.keys() == {f"p{number}" for number in range(10)}
    paid = sum(answer.paid for answer in report.answers.values())
    assert paid == Decimal(tally["charged"]) > 0


def test_a_request_that_the_vendor_does_not_know_is_left_to_its_deadline(with_box):
    async def scenario(box):
        return await box.fullenrich.poll("2db5ea61-1752-42cf-8ea1-ab1da060cd0a")

    assert with_box(scenario) is None


def test_a_phone_costs_ten_and_an_address_one(with_box):
    async def scenario(box):
        await box.behave("fullenrich", Behaviour(hit_rate=1))
        phones = await ask(box, "fullenrich", crowd(30), frozenset({Item.PHONE}))
        return phones, await ask(box, "fullenrich", crowd(30), frozenset({Item.EMAIL}))

    phones, emails = with_box(scenario)
    assert {answer.paid for answer in phones.values()} == {Decimal(10)}
    assert all(
        answer.paid == (answer.finding.email_status is not EmailStatus.INVALID)
        for answer in emails.values()
    )
