"""Many follow jobs: none is in another's way, or in the way of who does not follow."""

import asyncio
import json
import resource
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from sqlalchemy import text

from storage.access_scopes import Scope
from tests.support.fleet import until
from worker.api.job_followers import EventStream, JobFollowers
from worker.cli.processes.api import allow_open_files
from worker.infrastructure.settings import Settings
from worker.jobs import job_control

_KEY_MAX, _MAX = 3, 4


@pytest.fixture
def settings() -> dict[str, object]:
    return {
        "followers_key_max": _KEY_MAX,
        "followers_max": _MAX,
        "body_bytes_max": 50_000,
    }


@pytest.fixture
def job(api) -> str:
    api.license()
    body = {
        "kind": "export",
        "license": "acme",
        "user": "ada",
        "records": [{"company": {"id": "c1"}}],
    }
    return str(api.admin.post("/v1/jobs", json=body).json()["id"])


@contextmanager
def _followed(client: httpx.Client, job: str) -> Iterator[Iterator[str]]:
    """The lines of a job's events, once the first has come."""
    with client.stream("GET", f"/v1/jobs/{job}/events") as answer:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines) == "event: job"
        yield lines


def _refused(client: httpx.Client, job: str) -> bool:
    answer = client.get(f"/v1/jobs/{job}/events")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) > 0
    return (answer.status_code, answer.json()["code"]) == (429, "rate_limited")


def test_a_key_and_a_process_take_so_many_followers_and_forget_who_hangs_up(api, job):
    many, other = api.admin, api.key(Scope.OPERATOR, "acme")
    with ExitStack() as following:
        for _ in range(_KEY_MAX):
            following.enter_context(_followed(many, job))
        assert _refused(many, job)
        with _followed(other, job):
            assert _refused(other, job)
        # Who hangs up makes room at once: it needs no event to be found out.
        until(lambda: _has_room(other, job), within_s=5)
    until(lambda: _has_room(many, job), within_s=5)


def _has_room(client: httpx.Client, job: str) -> bool:
    with client.stream("GET", f"/v1/jobs/{job}/events") as answer:
        return answer.status_code == 200


def test_who_sends_more_than_a_request_may_hold_is_let_go_and_forgotten(api, job):
    for _ in range(_KEY_MAX):
        body = iter([b"x" * 10_000] * 10)
        answer = api.admin.request("GET", f"/v1/jobs/{job}/events", content=body)
        assert answer.status_code == 200
    until(lambda: _has_room(api.admin, job), within_s=5)


def test_each_follower_is_told_each_state_it_can_take_and_the_last(api, job):
    with ExitStack() as following:
        lines = [
            following.enter_context(_followed(api.admin, job)) for _ in range(_KEY_MAX)
        ]
        api.ended(job)
        told = [
            [json.loads(one[6:]) for one in of if one[:5] == "data:"] for of in lines
        ]
    for states in told:
        assert states[0]["state"] == "queued"
        assert states[-1]["state"] == "succeeded"
        assert states[-1]["file"]["url"].startswith(api.url)


def test_a_follower_outlives_a_database_that_fails_for_a_while(api, job, caplog):
    rename = text("ALTER TABLE refunds RENAME TO away")
    back = text("ALTER TABLE away RENAME TO refunds")
    with _followed(api.admin, job) as lines:
        with api.deps.database.transaction() as connection:
            connection.execute(rename)
        job_control.pause(api.deps, job)
        until(lambda: "cannot be looked at" in caplog.text, within_s=10)
        with api.deps.database.transaction() as connection:
            connection.execute(back)
        states = [json.loads(next(lines)[6:])["state"]]
        while states[-1] != "paused":
            line = next(lines)
            if line.startswith("data:"):
                states.append(json.loads(line[6:])["state"])
    assert states == ["queued", "paused"]


class _Client:
    """One end of a connection, as an ASGI server has it: what it sends can stand."""

    def __init__(self) -> None:
        self.sent: list[dict[str, object]] = []
        self.reads = asyncio.Event()
        self.hung_up = asyncio.Event()
        self._came = asyncio.Event()

    async def receive(self) -> dict[str, object]:
        await self.hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, object]) -> None:
        await self.reads.wait()
        self.sent.append(message)
        self._came.set()

    async def until_sent(self, count: int) -> None:
        while len(self.sent) < count:
            self._came.clear()
            await self._came.wait()

    def states(self) -> list[str]:
        bodies = [bytes(message.get("body", b"")) for message in self.sent]  # type: ignore[call-overload]
        return [json.loads(one.split(b"data: ")[1]) for one in bodies if b"data" in one]


def test_who_does_not_read_is_kept_no_states_and_holds_up_nobody(
    api, job, database_url, tmp_path
):
    settings = Settings(home=tmp_path, database_url=database_url)

    async def follow() -> tuple[list[str], list[str]]:
        followers, reads, stands = JobFollowers(settings), _Client(), _Client()
        reads.reads.set()

        def stream(client: _Client) -> asyncio.Task[None]:
            events = EventStream(
                followers,
                job,
                "key",
                base_url="",
                describe=lambda report, _: report.state.value,  # type: ignore[arg-type,return-value]
            )
            return asyncio.create_task(events({}, client.receive, client.send))  # type: ignore[arg-type]

        streams = [stream(reads), stream(stands)]
        # The start of the answer and the first state, then one for each change.
        await reads.until_sent(2)
        for steer in (job_control.pause, job_control.resume, job_control.pause):
            seen = len(reads.sent)
            await asyncio.to_thread(steer, api.deps, job)
            await reads.until_sent(seen + 1)
        assert stands.sent == []
        stands.reads.set()
        await stands.until_sent(2)
        reads.hung_up.set()
        stands.hung_up.set()
        await asyncio.wait_for(asyncio.gather(*streams), 2)
        followers.close()
        return reads.states(), stands.states()

    told, newest = asyncio.run(follow())
    assert told == ["queued", "paused", "queued", "paused"]
    assert newest == ["paused"]


def test_a_thousand_followers_cost_no_thread_and_are_let_go_at_the_end(
    api, job, database_url, tmp_path
):
    settings = Settings(home=tmp_path, database_url=database_url)

    async def follow() -> tuple[int, int]:
        followers = JobFollowers(settings)
        clients = [_Client() for _ in range(1_000)]
        before = threading.active_count()
        streams = []
        for client in clients:
            client.reads.set()
            events = EventStream(
                followers,
                job,
                "key",
                base_url="",
                describe=lambda report, _: {"state": report.state.value},
            )
            streams.append(
                asyncio.create_task(events({}, client.receive, client.send))  # type: ignore[arg-type]
            )
        await asyncio.gather(*(client.until_sent(2) for client in clients))
        threads = threading.active_count() - before
        followers.end()
        await asyncio.wait_for(asyncio.gather(*streams), 5)
        followers.close()
        last = [client.sent[-1] for client in clients]
        ended = [one for one in last if one == _END]
        return threads, len(ended)

    threads, ended = asyncio.run(follow())
    assert threads == 1
    assert ended == 1_000


_END = {"type": "http.response.body", "body": b""}


def test_a_limit_of_open_files_that_is_too_low_is_raised_or_told(caplog):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        allow_open_files(300)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 300
        assert caplog.text == ""
        allow_open_files(1 << 40)
        assert "HOLDFAST_FOLLOWERS_MAX" in caplog.text
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
