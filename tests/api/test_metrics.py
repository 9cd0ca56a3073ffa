"""What operators' monitoring is told."""

import asyncio
import socket
from contextlib import closing

import pytest
from redis import Redis

from storage.jobs import heartbeats
from storage.operations import chore_runs
from tests.api.conftest import serving
from tests.support.metrics import samples
from tests.support.promtool import promtool
from worker.infrastructure.environment.secret import Secret
from worker.infrastructure.outbound_limits.circuit_breaker import CircuitBreaker
from worker.infrastructure.outbound_limits.pauses import (
    DOWN,
    RATE_LIMITED,
    Pause,
    pause_key,
)
from worker.infrastructure.outbound_limits.shared_counters import SharedCounters
from worker.infrastructure.outbound_limits.standing_pauses import pauses_of
from worker.infrastructure.telemetry.counters import COUNTERS
from worker.infrastructure.telemetry.metric_families import FAMILIES, PAUSES
from worker.jobs.sweeper import SWEEP
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
        for (name, *labels), count in found.items()
        if name == "checkpoint_seconds_bucket" and labels[0] == "export"
    ]
    assert buckets == sorted(buckets)
    assert len(buckets) > 5


def test_processes_tell_how_many_they_are_and_what_they_hold(api):
    with api.deps.database.transaction() as connection:
        for one, held in (("a", 3), ("b", 4), ("older", None)):
            about = heartbeats.About(rss_bytes=held)
            heartbeats.report(connection, one, "worker", about=about)
    found = _metrics(api)
    assert found["processes", "worker"] == 3
    assert found["processes", "dispatcher"] == 0
    assert found["memory_bytes", "worker"] == 7


def test_a_sweep_tells_how_long_ago_it_was(api):
    assert ("sweep_age_seconds",) not in _metrics(api)
    with api.deps.database.transaction() as connection:
        chore_runs.note(connection, SWEEP)
        connection.exec_driver_sql(
            "UPDATE chore_runs SET done_at = done_at - interval '1 minute'"
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


@pytest.mark.slow
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


def _paused(redis_url: str, family: str, name: str, pause: Pause) -> None:
    """Pause somebody as a worker does."""

    async def begin() -> None:
        counters = SharedCounters(redis_url, family)
        breaker = CircuitBreaker(counters, failures_max=3, rest_s=60)
        await breaker.pause(name, pause)
        await counters.close()

    asyncio.run(begin())


def test_pauses_are_told_by_provider_and_by_connector(
    database_url, tmp_path, redis_url
):
    settings = {
        "redis_url": redis_url,
        "providers": "directory,hunter,people_data_labs",
        "hunter_key": Secret("k"),
        "pdl_key": Secret("k"),
    }
    with serving(database_url, tmp_path, settings) as api:
        api.license()
        body = {
            "license": "acme",
            "connector": "hubspot",
            "name": "crm",
            "settings": {},
            "secrets": {"access_token": "t"},
        }
        made = [api.admin.post("/v1/connections", json=body).json() for _ in range(2)]
        assert _metrics(api)["provider_paused", "hunter"] == 0
        _paused(redis_url, "provider", "hunter", Pause(DOWN, 60))
        for one in made:
            _paused(redis_url, "connection", one["id"], Pause(RATE_LIMITED, 60))
        _paused(redis_url, "connection", "gone", Pause(RATE_LIMITED, 60))
        found = _metrics(api)
        assert found["provider_paused", "hunter"] == 1
        assert found["provider_paused", "people_data_labs"] == 0
        assert found["connections_paused", "hubspot", RATE_LIMITED] == 2
        labels = {label for _, *labels in found for label in labels}
        assert not labels & {"gone", *(one["id"] for one in made)}


def test_a_redis_that_hangs_costs_a_scrape_its_pauses_alone(database_url, tmp_path):
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with serving(database_url, tmp_path, {"redis_url": url}) as api:
            found = _metrics(api)
    assert found["database_up",] == 1
    assert not [name for name, *_ in found if "paused" in name]


def test_what_the_api_itself_has_counted_is_kept_at_its_end(database_url, tmp_path):
    """Its checks ask CRMs too, and may find them paused."""
    COUNTERS.take()
    with serving(database_url, tmp_path, {}) as api:
        COUNTERS.add(PAUSES, "connection", DOWN)
    with serving(database_url, tmp_path, {}) as api:
        found = _metrics(api)
    assert found["pauses_begun_total", "connection", DOWN] == 1


def test_a_pause_that_has_ended_is_told_no_more(redis_url):
    _paused(redis_url, "provider", "late", Pause(DOWN, 60))
    standing = (pauses_of(redis_url, "provider") or {})["late"]
    assert standing.reason == DOWN
    assert 50 < standing.left_s <= 60
    url = redis_url.replace("redis+socket://", "unix://")
    Redis.from_url(url).delete(pause_key("provider", "late"))
    assert "late" not in (pauses_of(redis_url, "provider") or {})
