"""Quote, enqueue, follow, steer, and fetch what became of it."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support import job_runs
from worker.api import models

_RECORDS = [
    {"company": {"id": "c1", "name": "One"}, "person": {"id": f"p{number}"}}
    for number in range(4)
]
_BODY = {
    "kind": "export",
    "license": "acme",
    "user": "ada",
    "records": _RECORDS,
    "retrieve": ["email", "phone"],
}


@pytest.fixture
def acme(api):
    api.license()
    job_runs.know(api.deps, "p0", "p1")
    return api


def test_a_job_goes_from_quote_to_file(acme):
    quote = acme.admin.post("/v1/quotes", json=_BODY)
    assert quote.status_code == 201
    assert quote.json()["max_credits"] == 1 + 4 * 3
    submitted = acme.admin.post("/v1/jobs", json={"quote": quote.json()["id"]})
    assert submitted.status_code == 202
    job = acme.ended(submitted.json()["id"])
    assert job["credits"] == {
        "reserved": 13,
        "settled": 7,
        "released": 6,
        "refunded": 0,
    }
    download = acme.client(None).get(job["file"]["url"])
    assert download.status_code == 200
    assert hashlib.sha256(download.content).hexdigest() == job["file"]["sha256"]
    part = acme.client(None).get(job["file"]["url"], headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, download.content[:10])
    redirect = acme.admin.get(f"/v1/jobs/{job['id']}/file")
    assert redirect.status_code == 307
    assert redirect.headers["Location"].startswith(acme.url)


def test_quotes_and_jobs_are_answered_as_their_models_have_them(acme):
    quote = acme.admin.post("/v1/quotes", json=_BODY).json()
    submitted = acme.admin.post("/v1/jobs", json={"quote": quote["id"]}).json()
    ended = acme.ended(submitted["id"])
    assert models.Quote.model_validate(quote).model_dump(mode="json") == quote
    for job in (submitted, ended):
        assert models.Job.model_validate(job).model_dump(mode="json") == job


def test_a_link_that_was_changed_or_has_expired_opens_nothing(acme, database_url):
    job = acme.ended(acme.admin.post("/v1/jobs", json=_BODY).json()["id"])
    url = job["file"]["url"]
    forged = url[:-1] + ("0" if url[-1] != "0" else "1")
    later = url.replace("expires=", "expires=9")
    for wrong in (forged, later):
        answer = acme.client(None).get(wrong)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_a_job_is_followed_to_its_end_by_events(acme):
    job_id = acme.admin.post("/v1/jobs", json=_BODY).json()["id"]
    with acme.admin.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: job"
        acme.work()
        states = [
            json.loads(line.removeprefix("data: "))["state"]
            for line in lines
            if line.startswith("data: ")
        ]
    assert states[-1] == "succeeded"


def test_charges_and_records_are_listed_by_cursor(acme):
    job_id = acme.admin.post("/v1/jobs", json=_BODY).json()["id"]
    acme.ended(job_id)
    seen, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = acme.admin.get(f"/v1/jobs/{job_id}/charges", params=query).json()
        seen += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert sum(charge["credits"] for charge in seen) == 7
    assert len({charge["id"] for charge in seen}) == len(seen) == 5
    records = acme.admin.get(f"/v1/jobs/{job_id}/records").json()["items"]
    assert [record["record"] for record in records] == [1, 2, 3, 4]
    rejections = acme.admin.get(f"/v1/jobs/{job_id}/rejections?format=csv")
    assert rejections.text.splitlines() == [
        "record,company_id,person_id,code,field,message,link"
    ]


def test_a_job_is_paused_resumed_and_cancelled_each_as_often_as_you_like(acme):
    job_id = acme.admin.post("/v1/jobs", json=_BODY).json()["id"]
    for verb, state in (("pause", "paused"), ("resume", "queued")):
        for _ in range(2):
            answer = acme.admin.post(f"/v1/jobs/{job_id}/{verb}")
            assert (answer.status_code, answer.json()["state"]) == (202, state)
    for _ in range(2):
        assert acme.admin.post(f"/v1/jobs/{job_id}/cancel").status_code == 202
    assert acme.ended(job_id)["state"] == "cancelled"
    assert acme.admin.post(f"/v1/jobs/{job_id}/cancel").status_code == 202
    refused = acme.admin.post(f"/v1/jobs/{job_id}/pause")
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")


def test_a_retry_takes_what_was_not_reached_and_is_made_once(acme):
    job_id = acme.admin.post("/v1/jobs", json=_BODY).json()["id"]
    acme.admin.post(f"/v1/jobs/{job_id}/cancel")
    assert acme.ended(job_id)["progress"]["unreached"] == 4
    first = acme.admin.post(f"/v1/jobs/{job_id}/retry")
    assert (first.status_code, first.json()["retry_of"]) == (202, job_id)
    again = acme.admin.post(f"/v1/jobs/{job_id}/retry")
    assert again.json()["id"] == first.json()["id"]
    retried = acme.ended(first.json()["id"])
    assert (retried["state"], retried["credits"]["settled"]) == ("succeeded", 7)


def test_a_hundred_identical_submits_make_one_job(acme):
    def submit(_: int) -> tuple[int, str]:
        answer = acme.admin.post(
            "/v1/jobs", json=_BODY, headers={"Idempotency-Key": "the same"}
        )
        return answer.status_code, answer.json().get("id")

    with ThreadPoolExecutor(20) as threads:
        answers = set(threads.map(submit, range(100)))
    assert len(answers) == 1, answers
    assert len(acme.admin.get("/v1/jobs").json()["items"]) == 1
    acme.work()


def _at_once(acme, path: str, body: object) -> set[tuple[int, bytes]]:
    def send(_: int) -> tuple[int, bytes]:
        answer = acme.admin.post(path, json=body, headers={"Idempotency-Key": path})
        return answer.status_code, answer.content

    with ThreadPoolExecutor(20) as threads:
        return set(threads.map(send, range(100)))


def test_a_hundred_identical_submits_of_one_quote_are_answered_the_same(acme):
    quote = acme.admin.post("/v1/quotes", json=_BODY).json()["id"]
    ((status, answer),) = _at_once(acme, "/v1/jobs", {"quote": quote})
    assert status == 202
    (job,) = acme.admin.get("/v1/jobs").json()["items"]
    assert json.loads(answer)["id"] == job["id"]
    acme.work()


def test_a_hundred_identical_refunds_are_answered_the_same(acme):
    job_id = acme.admin.post("/v1/jobs", json=_BODY).json()["id"]
    acme.ended(job_id)
    charge = acme.admin.get(f"/v1/jobs/{job_id}/charges").json()["items"][0]
    path = f"/v1/charges/{charge['id']}/refund"
    ((status, answer),) = _at_once(acme, path, {"reason": "wrong"})
    assert (status, json.loads(answer)["credits"]) == (201, charge["credits"])
    job = acme.admin.get(f"/v1/jobs/{job_id}").json()
    assert job["credits"]["refunded"] == charge["credits"]


def test_a_replayed_answer_is_the_first_one_byte_for_byte(acme):
    webhook = {
        "license": "acme",
        "url": "http://127.0.0.1:9/",
        "events": ["job.finished"],
    }
    top_up = {"credits": 5, "reference": "r"}
    license_ = {"id": "other", "name": "O", "plan": "V1", "payment_term": "monthly"}
    for path, body in (
        ("licenses", {**license_, "credits": 5}),
        ("licenses/acme/top-ups", top_up),
        ("licenses/acme/views", {"user": "ada", "company_id": "c"}),
        ("quotes", _BODY),
        ("jobs", _BODY),
        ("webhooks", webhook),
    ):
        headers = {"Idempotency-Key": path}
        first, again = (
            acme.admin.post(f"/v1/{path}", json=body, headers=headers) for _ in range(2)
        )
        assert first.status_code in {200, 201, 202}, first.text
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers["Content-Type"] == first.headers["Content-Type"]
    acme.work()


def test_the_same_key_with_another_request_is_refused(acme):
    headers = {"Idempotency-Key": "k"}
    assert acme.admin.post("/v1/quotes", json=_BODY, headers=headers).status_code == 201
    other = acme.admin.post("/v1/quotes", json=_BODY | {"user": "bob"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_mismatch")


def test_a_refusal_is_not_remembered_under_its_key(acme):
    headers = {"Idempotency-Key": "k"}
    acme.license("poor", credits=0)
    body = _BODY | {"license": "poor"}
    refused = acme.admin.post("/v1/jobs", json=body, headers=headers)
    assert refused.status_code == 402
    problem = refused.json()
    assert problem["code"] == "insufficient_credits"
    assert (problem["available"], problem["needed"], problem["fits_records"]) == (
        0,
        13,
        0,
    )
    top_up = {"credits": 13, "reference": "r"}
    acme.admin.post("/v1/licenses/poor/top-ups", json=top_up)
    assert acme.admin.post("/v1/jobs", json=body, headers=headers).status_code == 202
    acme.work()


def test_an_upload_is_kept_quoted_and_exported(acme):
    data = "company_id,person_id\nc1,p0\nc1,p0\n,p9\n"
    refused = acme.admin.post(
        "/v1/uploads?license=acme", content=data, headers={"Content-Type": "text/csv"}
    )
    assert refused.status_code == 422
    assert refused.json()["errors"][0] == {
        "line": 4,
        "field": "company_id",
        "message": "is empty: a person needs its company",
    }
    kept = acme.admin.post(
        "/v1/uploads?license=acme&skip_bad=true",
        content=data,
        headers={"Content-Type": "text/csv", "Idempotency-Key": "u"},
    )
    assert kept.status_code == 201
    assert (kept.json()["records"], kept.json()["duplicates"]) == (1, 1)
    again = acme.admin.post(
        "/v1/uploads?license=acme&skip_bad=true",
        content=data,
        headers={"Content-Type": "text/csv", "Idempotency-Key": "u"},
    )
    assert (again.status_code, again.content) == (201, kept.content)
    body = {**_BODY, "upload": kept.json()["id"]}
    del body["records"]
    job = acme.ended(acme.admin.post("/v1/jobs", json=body).json()["id"])
    assert job["credits"]["settled"] == 4


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"user": 5}, ["user"]),
        ({"max_credits": "5", "more": 1}, ["max_credits", "more"]),
        ({"license": None, "retrieve": ["fax"]}, ["license", "retrieve.0"]),
        ({"quote": "q"}, ["quote"]),
    ],
)
def test_what_is_wrong_with_a_job_is_said_of_the_form_that_it_resembles(
    acme, change, fields
):
    answer = acme.admin.post("/v1/jobs", json=_BODY | change)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == fields


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["quote"]),
        ({"quote": 5}, ["quote"]),
        ({"quote": "q", "max_credits": 5}, ["max_credits"]),
        ({"quote": "q", "name": ""}, ["name"]),
    ],
)
def test_what_is_wrong_with_a_job_of_a_quote_is_said_of_that_form(acme, body, fields):
    answer = acme.admin.post("/v1/jobs", json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == fields


@pytest.mark.parametrize("body", ["{", "", '"a text"', "[]"])
def test_a_body_that_is_no_object_is_wrong_as_a_whole(acme, body):
    headers = {"Content-Type": "application/json"}
    answer = acme.admin.post("/v1/jobs", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert [list(error) for error in answer.json()["errors"]] == [["message"]]


def test_a_part_that_a_file_does_not_have_is_refused_and_no_part_is_all_of_it(acme):
    job = acme.ended(acme.admin.post("/v1/jobs", json=_BODY).json()["id"])
    url, size = job["file"]["url"], job["file"]["bytes"]
    reader = acme.client(None)
    for part in ("bytes=1000000-", "bytes=-0"):
        answer = reader.get(url, headers={"Range": part})
        assert (answer.status_code, answer.json()["code"]) == (416, "invalid_request")
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["Content-Range"] == f"bytes */{size}"
    for nothing in ("bytes=abc", "bytes=9-5", "lines=1-2", "bytes"):
        answer = reader.get(url, headers={"Range": nothing})
        assert (answer.status_code, len(answer.content)) == (200, size)


def test_an_empty_list_of_records_is_no_line_of_a_file(acme):
    answer = acme.admin.post("/v1/quotes", json=_BODY | {"records": []})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"message": "there are no records"}]


def test_an_upload_counts_all_lines_that_were_left_out_and_names_the_first(acme):
    lines = "company_id,person_id\nc1,\n" + ",p\n" * 150
    csv = {"Content-Type": "text/csv"}
    path = "/v1/uploads?license=acme&skip_bad=true"
    kept = acme.admin.post(path, content=lines, headers=csv).json()
    assert (kept["records"], kept["problems_total"]) == (1, 150)
    assert len(kept["problems"]) == 100
