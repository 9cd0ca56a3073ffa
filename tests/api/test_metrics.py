"""What operators' monitoring is told."""

from tests.support.metrics import samples

_BODY = {
    "kind": "export",
    "license": "acme",
    "user": "u",
    "records": [{"company": {"id": "c/1"}}, {"company": {"id": "c2"}}],
}


def _metrics(api) -> dict[tuple[str, ...], float]:
    """A scraper has no key."""
    return samples(api.client(None))


def test_queues_are_told_as_they_stand(api):
    api.license()
    job = api.admin.post("/v1/jobs", json=_BODY)
    assert job.status_code == 202
    before = _metrics(api)
    assert before["database_up",] == 1
    assert before["jobs", "queued"] == 1
    assert before["chunks", "pending"] == 1
    assert before["credits_reserved",] == 2
    assert before["oldest_chunk_wait_seconds",] > 0
    api.ended(job.json()["id"])
    after = _metrics(api)
    assert ("jobs", "queued") not in after
    assert after["credits_reserved",] == 0
    assert after["oldest_chunk_wait_seconds",] == 0


def test_requests_are_counted_by_route_and_not_by_id(api):
    api.license("a/b")
    for _ in range(3):
        assert api.admin.get("/v1/licenses/a%2Fb").status_code == 200
    assert api.admin.get("/v1/licenses/none").status_code == 404
    assert api.client(None).get("/nowhere").status_code == 404
    found = _metrics(api)
    route = "/v1/licenses/{license}"
    assert found["http_requests_total", "GET", route, "200"] == 3
    assert found["http_requests_total", "GET", route, "404"] == 1
    assert found["http_requests_total", "GET", "none", "404"] == 1
    assert found["http_request_seconds_count", route] == 4
