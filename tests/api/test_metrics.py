"""What operators' monitoring is told."""

import pytest

from storage.operations import counters
from tests.support.metrics import samples
from tests.support.promtool import promtool
from worker.infrastructure.telemetry.counters import COUNTERS
from worker.infrastructure.telemetry.metric_families import FAMILIES
from worker.operations.counter_flush import CounterFlush

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


def _flush(api) -> None:
    CounterFlush(api.deps.database).close()


@pytest.fixture
def worked(api):
    """An API whose workers have dealt with a job, and have said so."""
    COUNTERS.take()
    api.license()
    job = api.admin.post("/v1/jobs", json=_BODY).json()["id"]
    api.ended(job)
    _flush(api)
    return api


def test_what_workers_counted_is_told_by_each_process_of_the_api(worked):
    found = _metrics(worked)
    assert found["records_total", "export", "delivered"] == 2
    assert found["credits_settled_total", "export"] == 2
    assert found["chunk_seconds_count", "export"] == 1
    assert found["checkpoint_seconds_count", "export"] == 2
    assert found["checkpoint_seconds_bucket", "export", "+Inf"] == 2
    assert found["sweeps_total",] == 0
    assert found["processes", "worker"] == 0


def test_buckets_hold_all_that_took_no_longer(worked):
    found = _metrics(worked)
    buckets = [
        count
        for (name, *_), count in found.items()
        if name == "checkpoint_seconds_bucket"
    ]
    assert buckets == sorted(buckets)
    assert len(buckets) > 5


def test_a_sweep_tells_how_long_ago_it_was(api):
    assert ("sweep_age_seconds",) not in _metrics(api)
    with api.deps.database.transaction() as connection:
        counters.add(connection, {("sweeps", ()): 1})
        connection.exec_driver_sql(
            "UPDATE counters SET changed_at = changed_at - interval '1 minute'"
        )
    assert 60 <= _metrics(api)["sweep_age_seconds",] < 90


def test_a_job_that_runs_without_progress_is_told(api):
    api.license()
    assert api.admin.post("/v1/jobs", json=_BODY).status_code == 202
    with api.deps.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE jobs SET state = 'running'")
        connection.exec_driver_sql(
            "UPDATE reservations SET deadline_at = deadline_at - interval '11 minutes'"
        )
    assert 660 <= _metrics(api)["idle_job_seconds",] < 690
    with api.deps.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE jobs SET waiting_reason = 'rate_limited'")
    assert _metrics(api)["idle_job_seconds",] == 0


def test_prometheus_finds_nothing_to_better_in_any_name(worked):
    for family in FAMILIES:
        if family.buckets_s:
            COUNTERS.observe(family, 1, *family.labels)
        else:
            COUNTERS.add(family, *family.labels)
    _flush(worked)
    told = worked.client(None).get("/metrics").text
    assert all(f"holdfast_{family.name}" in told for family in FAMILIES)
    found = promtool("check", "metrics", given=told)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
