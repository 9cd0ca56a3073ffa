"""Answers that no vendor should give: they answer nobody, and stop nothing."""

import asyncio
import json

import pytest
from aiohttp import web
from pydantic import JsonValue

from pricing.findings import NOTHING
from tests.findings.providers.conftest import KEY
from tests.findings.providers.provider_calls import BOTH, person
from tests.findings.providers.scripted_server import serving
from worker.findings.providers.errors import Unavailable
from worker.findings.providers.fullenrich import FullEnrich
from worker.findings.providers.http import Http
from worker.findings.providers.hunter import Hunter
from worker.findings.providers.people_data_labs import PeopleDataLabs

_ODD: list[JsonValue] = [
    None,
    7,
    True,
    "text",
    [],
    {},
    [[]],
    {"email": 7},
    {"status": {}},
]
_UNFIT = ["nul\0@engine.example", "half\ud800@engine.example", "two\nlines", ""]


def _told(ask, status, text):
    """What a provider makes of an answer."""

    async def answer(_request):
        return web.Response(status=status, text=text, content_type="application/json")

    async def scenario():
        http = Http()
        try:
            async with serving(answer) as url:
                return await ask(http, url)
        finally:
            await http.close()

    return asyncio.run(scenario())


async def _hunter(http, url):
    answers = await Hunter(http, key=KEY, url=url).look_up([person(1)], BOTH)
    return answers["p1"]


async def _labs(http, url):
    labs = PeopleDataLabs(http, key=KEY, url=url)
    return (await labs.look_up([person(1)], BOTH)).get("p1")


async def _fullenrich(http, url):
    report = await FullEnrich(http, key=KEY, url=url).poll("an-id")
    assert report is not None
    return report.answers["p1"]


def _hunter_says(odd):
    return {"data": {"email": odd, "verification": odd}}


def _labs_say(odd):
    data = {"work_email": odd, "mobile_phone": odd}
    return [{"status": 200, "data": data, "metadata": {"mark": "0"}}]


def _fullenrich_says(odd):
    info = {
        "most_probable_work_email": {"email": odd, "status": odd},
        "most_probable_phone": {"number": odd},
    }
    result = {"custom": {"person": "p1", "person_more": odd}, "contact_info": info}
    return {"id": "an-id", "status": "FINISHED", "data": [result]}


@pytest.mark.parametrize("odd", [*_UNFIT, *(odd for odd in _ODD if odd != "text")])
@pytest.mark.parametrize(
    ("ask", "say"),
    [
        (_hunter, _hunter_says),
        (_labs, _labs_say),
        (_fullenrich, _fullenrich_says),
    ],
)
def test_what_is_no_address_is_not_found(ask, say, odd):
    assert _told(ask, 200, json.dumps(say(odd))).finding == NOTHING


@pytest.mark.parametrize("odd", _ODD)
@pytest.mark.parametrize("ask", [_hunter, _fullenrich])
def test_what_is_no_answer_answers_nobody(ask, odd):
    with pytest.raises(Unavailable):
        _told(ask, 200, json.dumps(odd))


@pytest.mark.parametrize("odd", _ODD)
def test_an_item_that_is_none_leaves_its_person_unanswered(odd):
    assert _told(_labs, 200, json.dumps([odd])) is None


@pytest.mark.parametrize("status", [204, 302, 404, 410, 418, 500, 503])
@pytest.mark.parametrize("ask", [_hunter, _labs, _fullenrich])
def test_a_status_that_means_nothing_to_us_is_not_taken_for_not_found(ask, status):
    with pytest.raises(Unavailable):
        _told(ask, status, "{}" if status != 204 else "")


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_a_submit_that_was_refused_is_not_in_doubt(status):
    async def submit(http, url):
        fullenrich = FullEnrich(http, key=KEY, url=url)
        return await fullenrich.submit("lkp_1", [person(1)], BOTH, None)

    with pytest.raises(Unavailable):
        _told(submit, status, json.dumps({"code": "error.enrichment.name.empty"}))
