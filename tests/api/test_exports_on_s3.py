"""The way of an export by HTTP where its files are kept by an S3 server."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from storage.licenses import licenses
from tests.api.conftest import Api
from tests.support import job_runs, stores
from tests.support.receivers import receiver
from worker.exports.download_links import api_link

_CSV = b"company_id,person_id\n" + b"".join(b"c%d,p%d\n" % (n, n) for n in range(20))


@pytest.fixture
def s3(tmp_path, s3_keys) -> Iterator[stores.S3Server]:
    with stores.running("rclone", tmp_path) as server:
        yield server


@pytest.fixture
def settings(s3) -> dict[str, object]:
    return {"artifacts_url": s3.bucket(), "file_link_s": 60}


def _upload(api: Api, key: str = "one") -> httpx.Response:
    return api.admin.post(
        "/v1/uploads?license=acme",
        content=_CSV,
        headers={"Content-Type": "text/csv", "Idempotency-Key": key},
    )


def _quote(upload: str) -> dict[str, object]:
    return {"kind": "export", "license": "acme", "user": "ada", "upload": upload}


def _exported(api: Api) -> dict[str, Any]:
    made = api.admin.post("/v1/jobs", json=_quote(_upload(api).json()["id"]))
    assert made.status_code == 202, made.text
    return api.ended(made.json()["id"])


def test_the_file_of_an_export_is_had_by_the_stores_own_link(api, s3):
    api.license()
    with receiver() as hook:
        api.admin.post(
            "/v1/webhooks",
            json={"license": "acme", "url": hook.url(), "events": ["job.finished"]},
        )
        job = _exported(api)
    assert (job["state"], job["credits"]["settled"]) == ("succeeded", 20)
    link = job["file"]["url"]
    assert link.startswith(f"{s3.endpoint}/")
    assert urlsplit(link).path.endswith(f"/{job['file']['name']}")
    answer = httpx.get(link)
    data, told_as = answer.content, answer.headers["Content-Type"]
    assert told_as == "text/csv; charset=utf-8; header=present"
    manifest = api.admin.get(f"/v1/jobs/{job['id']}/manifest").json()
    assert hashlib.sha256(data).hexdigest() == manifest["file"]["sha256"]
    assert manifest["file"]["sha256"] == job["file"]["sha256"]
    asked = api.admin.get(f"/v1/jobs/{job['id']}/file", follow_redirects=False)
    assert asked.status_code == 307
    assert httpx.get(asked.headers["Location"]).content == data
    told = json.loads(hook.calls[0].body)["data"]["file"]
    assert httpx.get(told["url"]).content == data
    assert api.admin.get("/v1/licenses/acme/balance").json()["spent"] == 20


def test_a_link_to_the_api_still_leads_to_a_file_that_has_moved(api):
    api.license()
    job = _exported(api)
    report = job_runs.report(api.deps, job["id"])
    with api.deps.database.transaction() as connection:
        now = licenses.business_now(connection)
    made_before = api_link(api.deps, report, now, api.url)
    asked = api.client(None).get(made_before.url)
    assert asked.status_code == 307
    data = httpx.get(asked.headers["Location"]).content
    assert hashlib.sha256(data).hexdigest() == report.file_sha256


def test_while_the_store_is_away_a_request_is_refused_and_works_later(api, s3):
    api.license()
    s3.kill()
    answer = _upload(api)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "Retry-After" in answer.headers
    s3.start()
    assert _upload(api).status_code == 201
