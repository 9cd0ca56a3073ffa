"""Worker processes that refresh one connection's tokens: one of them does, and once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from storage.connections import connections
from storage.connections.connections import CrmConnection
from tests.connections.oauth_app import complete, consent, wish_for
from tests.support.fleet import Fleet, fleet_of, kill, until
from tests.support.push_runs import contact, submit
from tests.support.receivers import Receiver, Reply, receiver
from tests.support.sandboxes import Vendor, sandbox_process
from worker.sandbox.oauth_server import CLIENT_ID, CLIENT_SECRET

pytestmark = pytest.mark.slow

_WORKERS = 8


@contextmanager
def _fleet(
    tmp_path, database_url, broker, url: str, door: Receiver, **more: str
) -> Iterator[Fleet]:
    """Workers who find the token endpoint behind a door."""
    settings = {
        "WEBHOOK_ALLOW_PRIVATE": "1",
        "WORKER_CONCURRENCY": "1",
        "HUBSPOT_CLIENT_ID": CLIENT_ID,
        "HUBSPOT_CLIENT_SECRET": CLIENT_SECRET,
        "HUBSPOT_AUTHORIZE_URL": f"{url}/hubspot/oauth/authorize",
        "HUBSPOT_TOKEN_URL": door.url("/token"),
        "HUBSPOT_API_URL": f"{url}/hubspot",
    }

    def passed_on(_: int) -> Reply:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        asked = door.calls[-1].body
        answer = httpx.post(
            f"{url}/hubspot/oauth/token", content=asked, headers=headers
        )
        return Reply(answer.status_code, answer.content)

    door.answer = passed_on
    folder = tmp_path / "fleet"
    with fleet_of(folder, database_url, broker.url, **settings | more) as fleet:
        yield fleet


def _expire(fleet: Fleet, made: CrmConnection) -> None:
    """Let the access token have ended; submitting has asked the CRM for its fields."""
    secrets = fleet.deps.crms.open(made, lambda: None).tokens.secrets
    ended = secrets | {"access_token": "granted-and-ended", "expires_at_s": "0"}
    with fleet.deps.database.transaction() as connection:
        connections.reconnect(connection, made.id, fleet.deps.crms.seal(ended))


def _refreshes(url: str) -> tuple[int, int]:
    """How often a pair was asked for, and by a token that was used already."""
    told = Vendor(url, "hubspot").tally()
    return told["refreshes"], told["reused"]


@pytest.mark.parametrize(
    "small", ["0", "50"], ids=["a process each", "some in threads of a process"]
)
def test_eight_jobs_at_once_with_an_expired_token_make_exactly_one_refresh(
    tmp_path, database_url, broker, small
):
    more = {"LEASE_S": "30", "SMALL_JOB_RECORDS": small}
    with (
        sandbox_process() as url,
        receiver() as door,
        _fleet(tmp_path, database_url, broker, url, door, **more) as fleet,
    ):
        made = complete(fleet.deps, consent(fleet.deps, wish_for())).connection
        job_ids = [
            submit(fleet.deps, made.id, [contact(f"c{n}", f"p{n}")])
            for n in range(_WORKERS)
        ]
        _expire(fleet, made)
        passed_on, all_there = door.answer, threading.Event()

        def held(call: int) -> Reply:
            assert all_there.wait(15)
            return passed_on(call)

        door.answer = held
        fleet.start(*["worker"] * _WORKERS)
        alive = "SELECT count(*) FROM processes WHERE role = 'worker'"
        until(lambda: fleet.scalar(alive) == _WORKERS)
        fleet.start("dispatcher")
        at_work = "SELECT count(*) FROM chunks WHERE state = 'running'"
        until(lambda: fleet.scalar(at_work) == _WORKERS)
        all_there.set()
        for job_id in job_ids:
            assert fleet.ended(job_id).created == 1
        assert _refreshes(url) == (1, 0)
        told = Vendor(url, "hubspot").tally()
        assert (told["companies"], told["contacts"]) == (_WORKERS, _WORKERS)


def test_a_worker_killed_while_it_refreshes_leaves_the_refresh_to_another_once(
    tmp_path, database_url, broker
):
    with (
        sandbox_process() as url,
        receiver() as door,
        _fleet(tmp_path, database_url, broker, url, door) as fleet,
    ):
        made = complete(fleet.deps, consent(fleet.deps, wish_for())).connection
        job_id = submit(fleet.deps, made.id, [contact("c1", "p1")])
        _expire(fleet, made)
        passed_on, asked, killed = door.answer, threading.Event(), threading.Event()

        def held(_: int) -> Reply:
            asked.set()
            assert killed.wait(60)
            return Reply(503)

        door.answer = held
        (_, worker) = fleet.start("dispatcher", "worker")
        assert asked.wait(60)
        kill(worker)
        door.answer = passed_on
        killed.set()
        fleet.start("worker")
        # The next one waits for a lease that nobody lets go.
        until(lambda: fleet.scalar("SELECT max(attempt) FROM chunks") > 1)
        assert _refreshes(url) == (0, 0)
        _let_lapse(fleet)
        assert fleet.ended(job_id).created == 1
        assert _refreshes(url) == (1, 0)


def _let_lapse(fleet: Fleet) -> None:
    lapsed = fleet.scalar("""
        UPDATE connections SET refreshing_until = clock_timestamp()
         WHERE refreshing_until > clock_timestamp() RETURNING 1""")
    assert lapsed == 1
