"""The sandbox, and what we send, against what the vendors have published."""

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import pytest
from aiohttp import web
from pydantic import TypeAdapter

from tests.findings.providers import published
from tests.findings.providers.conftest import KEY
from tests.findings.providers.provider_calls import BOTH, crowd, ended
from tests.findings.providers.scripted_server import serving
from worker.findings.providers.errors import ProviderError
from worker.findings.providers.fullenrich import FullEnrich
from worker.findings.providers.http import Http
from worker.findings.providers.people_data_labs import PeopleDataLabs
from worker.sandbox import Behaviour, Fault

_AS_HUNTER = {"X-API-KEY": KEY}
_AS_LABS = {"X-Api-Key": KEY}
_AS_FULLENRICH = {"Authorization": f"Bearer {KEY}"}
_FINDER = "hunter/v2/email-finder"
_VERIFIER = "hunter/v2/email-verifier"
_BULK = "people_data_labs/v5/person/bulk"
_ENRICH = "fullenrich/api/v2/contact/enrich/bulk"
_ADA = {"first_name": "Ada", "last_name": "Lovelace"}
_ASKED = _ADA | {"domain": "engine.example"}
_CONTACT = _ASKED | {
    "company_name": "Engine",
    "enrich_fields": ["contact.work_emails", "contact.phones"],
    "custom": {"person": "p1"},
}
_CONTACTS = {"name": "n", "data": [_CONTACT]}
_EMAIL = {"email": "ada@engine.example"}
_LABS = {
    "requests": [{"params": _ADA | {"company": "engine.example"}, "metadata": {"n": 1}}]
}

_ERRORS = {
    "hunter": published.HunterErrors,
    "people_data_labs": published.LabsError,
    "fullenrich": published.EnrichError,
}


def _is(shape, text):
    # As JSON, where a number is no text and an id is spelled out.
    TypeAdapter(shape).validate_json(text)


class Question(NamedTuple):
    """A request to a vendor of the sandbox: with a body it is a POST."""

    path: str
    headers: Mapping[str, str]
    body: Any = None
    params: Mapping[str, str] = {}

    async def ask(self, box):
        """The response, and its text."""
        method = "GET" if self.body is None else "POST"
        async with box.session.request(
            method,
            f"{box.url}/{self.path}",
            json=self.body,
            params=self.params,
            headers=self.headers,
        ) as response:
            return response, await response.text()


async def _asked(box, question, **how):
    await box.behave(question.path.split("/")[0], Behaviour(**how))
    return await question.ask(box)


@pytest.mark.parametrize("rate", [0, 1])
@pytest.mark.parametrize(
    ("question", "shape"),
    [
        (Question(_FINDER, _AS_HUNTER, params=_ASKED), published.HunterFound),
        (Question(_VERIFIER, _AS_HUNTER, params=_EMAIL), published.HunterVerified),
        (Question(_BULK, _AS_LABS, _LABS), published.LabsAnswer),
        (Question(_ENRICH, _AS_FULLENRICH, _CONTACTS), published.EnrichTaken),
    ],
)
def test_an_answer_has_the_published_shape(with_box, rate, question, shape):
    async def scenario(box):
        return await _asked(box, question, hit_rate=rate)

    response, text = with_box(scenario)
    assert response.status == 200
    _is(shape, text)


@pytest.mark.parametrize(
    ("question", "fault", "status"),
    [
        (Question(_FINDER, {}), None, 401),
        (Question(_FINDER, _AS_HUNTER), None, 400),
        (Question(_FINDER, _AS_HUNTER), Fault.RATE_LIMITED, 403),
        (Question(_FINDER, _AS_HUNTER), Fault.OUT_OF_CREDITS, 429),
        (Question(_VERIFIER, {}), None, 401),
        (Question(_BULK, {}, {}), None, 401),
        (Question(_BULK, _AS_LABS, {}), None, 400),
        (Question(_BULK, _AS_LABS, {}), Fault.RATE_LIMITED, 429),
        (Question(_BULK, _AS_LABS, {}), Fault.OUT_OF_CREDITS, 402),
        (Question(_ENRICH, {}, {}), None, 401),
        (Question(_ENRICH, _AS_FULLENRICH, {}), None, 400),
        (Question(_ENRICH, _AS_FULLENRICH, {}), Fault.RATE_LIMITED, 429),
    ],
)
def test_a_refusal_has_the_published_status_and_shape(
    with_box, question, fault, status
):
    async def scenario(box):
        return await _asked(box, question, fault=fault)

    response, text = with_box(scenario)
    assert response.status == status
    _is(_ERRORS[question.path.split("/")[0]], text)


@pytest.mark.parametrize("fault", [None, Fault.RATE_LIMITED])
def test_the_labs_say_when_their_limit_ends(with_box, fault):
    async def scenario(box):
        return await _asked(box, Question(_BULK, _AS_LABS, _LABS), fault=fault)

    headers = with_box(scenario)[0].headers
    left = json.loads(headers["x-ratelimit-remaining"])
    assert left.keys() == {"minute", "day", "month"}
    assert (left["minute"] == 0) is (fault is not None)
    assert datetime.fromisoformat(headers["x-ratelimit-reset"]).utcoffset() is not None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"first_name": ""}, "first_name.empty"),
        ({"last_name": ""}, "last_name.empty"),
        ({"domain": "", "company_name": ""}, "domain.empty"),
        ({"enrich_fields": []}, "enrich_fields.empty"),
        ({"custom": {str(key): "" for key in range(11)}}, "custom.key.exceeded"),
        ({"custom": {"long": "x" * 101}}, "custom.value.exceeded"),
    ],
)
def test_a_contact_refuses_its_request_unless_it_may_be_skipped(with_box, change, code):
    async def scenario(box):
        body = {"name": "n", "data": [_CONTACT, _CONTACT | change]}
        question = Question(_ENRICH, _AS_FULLENRICH, body)
        skipping = question._replace(params={"silentFail": "true"})
        return await question.ask(box), await skipping.ask(box)

    (refused, text), (skipped, _) = with_box(scenario)
    assert (refused.status, skipped.status) == (400, 200)
    assert json.loads(text)["code"] == f"error.enrichment.{code}"


@pytest.mark.parametrize(
    ("fault", "status"), [(None, 200), (Fault.OUT_OF_CREDITS, 402)]
)
def test_a_report_has_the_published_shape_before_and_after_its_end(
    with_box, fault, status
):
    async def scenario(box):
        await box.behave("fullenrich", Behaviour(fault=fault, hit_rate=0.5))
        vendor_id = await box.fullenrich.submit("lkp_1", crowd(20), BOTH, None)
        question = Question(f"{_ENRICH}/{vendor_id}", _AS_FULLENRICH)
        early = await question.ask(box)
        await ended(box.fullenrich, vendor_id)
        return early, await question.ask(box)

    (early, refusal), (late, report) = with_box(scenario)
    assert (early.status, late.status) == (400, status)
    _is(published.EnrichError, refusal)
    _is(published.EnrichReport, report)
    assert len(json.loads(report)["data"]) == 20


async def _bulk(http, url):
    labs = PeopleDataLabs(http, key=KEY, url=url)
    await labs.look_up(crowd(100), BOTH)


async def _submit(http, url):
    fullenrich = FullEnrich(http, key=KEY, url=url)
    await fullenrich.submit("lkp_1", crowd(100), BOTH, "https://us.example/hook")


@pytest.mark.parametrize(
    ("send", "shape"),
    [(_bulk, published.LabsRequest), (_submit, published.EnrichRequest)],
)
def test_what_we_send_has_the_published_shape(send, shape):
    bodies = []

    async def take(request):
        bodies.append(await request.text())
        return web.Response(status=404)

    async def scenario():
        http = Http()
        async with serving(take) as url:
            with pytest.raises(ProviderError):
                await send(http, url)
        await http.close()

    asyncio.run(scenario())
    (body,) = bodies
    _is(shape, body)
