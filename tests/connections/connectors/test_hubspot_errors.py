"""What is made of HubSpot's words, as people have published them and as they may be."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.connections.connectors.plain_http import PlainHttp, persons
from tests.support.receivers import Receiver, Reply, receiver
from worker.connections.connectors.connector import (
    Access,
    Kind,
    Rejected,
    Result,
    Wanted,
    Written,
)
from worker.connections.connectors.errors import Misconfigured, Throttled, Unavailable
from worker.connections.connectors.hubspot.connector import HubSpot
from worker.connections.connectors.hubspot.errors import holder, refusal_of

_VALUES = [
    {
        "isValid": False,
        "message": "Email address [hidden] is invalid",
        "error": "INVALID_EMAIL",
        "name": "email",
    }
]

PUBLISHED = [
    pytest.param(
        {
            "status": "error",
            "message": f"Property values were not valid: {json.dumps(_VALUES)}",
            "correlationId": "x",
            "category": "VALIDATION_ERROR",
        },
        ("invalid_email", "Email address [hidden] is invalid", "email"),
        id="as JSON within the message",
    ),
    pytest.param(
        {
            "message": "Contact already exists. Existing ID: 2926551",
            "errors": [
                {
                    "message": "A contact with email a@b.example already exists. "
                    "Existing ID: 2926551",
                    "in": "email",
                }
            ],
            "category": "OBJECT_ALREADY_EXISTS",
            "error": "CONTACT_EXISTS",
        },
        (
            "conflict",
            "A contact with email a@b.example already exists. Existing ID: 2926551",
            "email",
        ),
        id="a conflict with errors",
    ),
    pytest.param(
        {
            "message": "Contact already exists. Existing ID: 51",
            "errors": [{"message": "A contact has it.", "in": "email"}],
            "category": "CONFLICT",
        },
        ("conflict", "Contact already exists. Existing ID: 51", "email"),
        id="the id in the message alone",
    ),
    pytest.param(
        {
            "category": "VALIDATION_ERROR",
            "message": "One or more validation errors occurred",
            "errors": [
                {
                    "message": "x was not one of the allowed options: [a]",
                    "code": "INVALID_OPTION",
                    "context": {"propertyName": "industry"},
                }
            ],
        },
        ("invalid_option", "x was not one of the allowed options: [a]", "industry"),
        id="a context without its list",
    ),
    pytest.param({}, ("invalid_value", "HubSpot gives no reason", None), id="nothing"),
    pytest.param(
        {"message": "Odd: [not JSON", "errors": None, "context": []},
        ("invalid_value", "Odd: [not JSON", None),
        id="nothing as it should be",
    ),
    pytest.param(
        {"message": "Nothing wrong with a: [1, 2]", "category": "SOMETHING_NEW"},
        ("invalid_value", "Nothing wrong with a: [1, 2]", None),
        id="a category that is new",
    ),
]


@pytest.mark.parametrize(("error", "expected"), PUBLISHED)
def test_an_error_becomes_a_code_the_vendors_words_and_a_field(error, expected):
    rejected = refusal_of(error).rejected
    assert (rejected.code, rejected.message, rejected.field) == expected


def test_the_record_that_has_a_value_is_read_out_of_the_words():
    assert holder("Contact already exists. Existing ID: 51") == "51"
    assert holder("Cannot set PropertyValue{...} on 5. 77 already has that value.") == (
        "77"
    )
    assert holder("no id in it") is None


@pytest.mark.parametrize("code", ["PROPERTY_DOESNT_EXIST", "READ_ONLY_VALUE"])
def test_what_no_row_is_to_blame_for_is_the_mappings_fault(code):
    error = {"errors": [{"message": "m", "code": code}]}
    with pytest.raises(Misconfigured):
        refusal_of(error)


# -- Answers that the sandbox does not give, from a server that does.


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiver() as there:
        yield there


Answer = Callable[[list[Any], int], tuple[int, Any]]
"""Status and body, by the inputs and by which call it is; the first asks who it is."""


@pytest.fixture
def hubspot(server) -> Callable[..., HubSpot]:
    """A connector whose server answers as the function given says."""

    def make(answer: Answer, **settings: str) -> HubSpot:
        def reply(call: int) -> Reply:
            sent, path = server.calls[-1].body, server.calls[-1].path
            if not sent and "/objects/" not in path:
                return Reply(200, b"{}")
            one = [{"id": path.partition("?")[0].rpartition("/")[2]}]
            inputs = json.loads(sent)["inputs"] if sent else one
            status, body = answer(inputs, call)
            headers = (("Retry-After", "7"),) if status == 429 else ()
            return Reply(status, json.dumps(body).encode(), headers)

        server.answer = reply
        given = {"url": server.url("/"), **settings}
        access = Access(settings=given, secrets={"access_token": "t"})
        return HubSpot(PlainHttp(), access)

    return make


@pytest.fixture
def write(hubspot) -> Callable[[int, Answer], dict[str, Result]]:
    """Writes so many persons to a server that answers as the function given says."""

    def ask(count: int, answer: Answer) -> dict[str, Result]:
        return dict(hubspot(answer).write(Kind.PERSON, persons(count)))

    return ask


def _results(inputs: list[Any]) -> list[dict[str, Any]]:
    return [
        {"id": f"1{one['id'][1:]}", "properties": {"holdfast_id": one["id"]}}
        for one in inputs
    ]


def test_results_without_trace_ids_are_told_apart_by_our_key(write):
    results = write(3, lambda inputs, _: (200, {"results": _results(inputs)[::-1]}))
    assert {k: one.their_id for k, one in results.items()} == {
        "p0": "10",
        "p1": "11",
        "p2": "12",
    }


def test_no_link_is_made_up_where_the_account_does_not_tell_its_portal(write):
    (result,) = write(
        1, lambda inputs, _: (200, {"results": _results(inputs)})
    ).values()
    assert result.link is None


def test_an_error_that_does_not_say_whose_it_is_finds_its_row(write, server):
    def answer(inputs: list[Any], _: int) -> tuple[int, Any]:
        good = [one for one in inputs if one["id"] != "p5"]
        errors = [{"message": "bad", "category": "VALIDATION_ERROR"}]
        errors = errors if len(good) < len(inputs) else []
        return 207, {"results": _results(good), "errors": errors}

    results = write(8, answer)
    assert results["p5"] == Rejected(code="invalid_value", message="bad")
    assert sum(isinstance(one, Written) for one in results.values()) == 7
    assert len(server.calls) <= 4


def test_two_errors_that_do_not_say_whose_they_are_find_both_their_rows(write):
    def answer(inputs: list[Any], _: int) -> tuple[int, Any]:
        bad = [one for one in inputs if one["id"] in {"p1", "p6"}]
        errors = [{"message": f"no {one['id']}"} for one in bad]
        good = [one for one in inputs if one not in bad]
        return 207, {"results": _results(good), "errors": errors}

    results = write(8, answer)
    rejected = {k: v.message for k, v in results.items() if isinstance(v, Rejected)}
    assert rejected == {"p1": "no p1", "p6": "no p6"}


def test_a_row_that_failed_for_want_of_time_is_tried_again(write):
    def answer(inputs: list[Any], call: int) -> tuple[int, Any]:
        error = {
            "category": "INTERNAL_ERROR",
            "message": "timed out",
            "context": {"objectWriteTraceId": ["p1"]},
        }
        if call == 2:
            good = [one for one in inputs if one["id"] != "p1"]
            return 207, {"results": _results(good), "errors": [error]}
        return 200, {"results": _results(inputs)}

    assert isinstance(write(3, answer)["p1"], Written)


def test_complete_with_empty_results_is_no_success(write):
    with pytest.raises(Unavailable, match="says nothing of 3 rows of 3"):
        write(3, lambda *_: (200, {"status": "COMPLETE", "results": []}))


@pytest.mark.parametrize("body", [{}, [], {"results": None}, "ok", None])
def test_an_answer_that_holds_no_results_is_no_answer(write, body):
    with pytest.raises(Unavailable):
        write(2, lambda *_: (200, body))


@pytest.mark.parametrize("status", [302, 423, 477, 500, 503, 521])
def test_a_status_that_passes_leaves_the_rows_in_doubt(write, server, status):
    with pytest.raises(Unavailable, match=str(status)):
        write(2, lambda *_: (status, {"message": "later"}))
    assert len(server.calls) == 2


def test_a_path_that_hubspot_does_not_have_is_no_rows_fault(write, server):
    with pytest.raises(Misconfigured) as caught:
        write(50, lambda *_: (404, {"message": "no such path"}))
    assert caught.value.code == "not_found"
    assert len(server.calls) == 2


def test_a_retry_after_is_kept_to(write):
    with pytest.raises(Throttled) as caught:
        write(1, lambda *_: (429, {"message": "slow down"}))
    assert (caught.value.until_s, caught.value.daily) == (7, False)


def test_an_id_that_hubspot_cannot_read_is_not_there_and_hides_no_other(hubspot):
    def answer(inputs: list[Any], _: int) -> tuple[int, Any]:
        if any(one["id"] == "66" for one in inputs):
            return 400, {"message": "66 is too odd", "category": "VALIDATION_ERROR"}
        return 200, {"results": [{**one, "properties": {}} for one in inputs]}

    wanted = [Wanted(id=f"p{n}", fields={}, their_id=str(n)) for n in range(60, 70)]
    matches = hubspot(answer).find(Kind.PERSON, wanted)
    assert set(matches) == {f"p{n}" for n in range(60, 70)} - {"p66"}


def test_a_batch_that_is_refused_for_whatever_reason_makes_nobody_deleted(
    hubspot, server
):
    def answer(inputs: list[Any], _: int) -> tuple[int, Any]:
        if server.calls[-1].path.endswith("/read"):
            return 400, {"message": "no batches today", "category": "VALIDATION_ERROR"}
        return 200, {**inputs[0], "properties": {}}

    wanted = [Wanted(id=f"p{n}", fields={}, their_id=str(n)) for n in range(5)]
    assert set(hubspot(answer).find(Kind.PERSON, wanted)) == {one.id for one in wanted}


def test_a_merged_record_that_says_nothing_of_the_merge_is_asked_for_by_each_id(
    hubspot, server
):
    merged = {"id": "9", "properties": {}}

    def answer(inputs: list[Any], _: int) -> tuple[int, Any]:
        if server.calls[-1].path.endswith("/read"):
            return 200, {"results": [merged]}
        return (404, {"message": "x"}) if inputs[0]["id"] == "7" else (200, merged)

    wanted = [Wanted(id=f"p{n}", fields={}, their_id=str(n)) for n in (5, 6, 7)]
    found = hubspot(answer).find(Kind.PERSON, wanted)
    assert {our_id: there.their_id for our_id, there in found.items()} == {
        "p5": "9",
        "p6": "9",
    }


def test_records_that_hubspot_cannot_read_now_are_not_taken_for_missing(hubspot):
    failed = {"category": "INTERNAL_ERROR", "message": "later"}
    there = hubspot(lambda *_: (207, {"results": [], "errors": [failed]}))
    with pytest.raises(Unavailable, match="cannot read 1 records"):
        there.find(Kind.PERSON, [Wanted(id="p1", fields={}, their_id="5")])
