"""A house that is up, with jobs in every state, a webhook, CRMs and a provider."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.fleet import directory_lines, until
from tests.support.installations import KEY, Installation, embedded
from tests.support.receivers import Receiver, Reply, receiver
from tests.support.sandboxes import Sandbox

OPERATOR = "Ada of operations"
REASON = "asked for by the customer"
_PERSONS = 600
_SLOW_MS = 60
_SETTINGS = {
    "BATCH_RECORDS": "20",
    "CHUNK_RECORDS": "40",
    "WORKER_CONCURRENCY": "3",
    # Whatever is slow leaves a place for others.
    "JOB_WINDOW": "2",
    "CRM_TIMEOUT_S": "5",
    "LEASE_S": "8",
    "VISIBILITY_TIMEOUT_S": "30",
    "RETRY_BASE_S": "2",
    "PUSH_REJECTIONS_MIN": "6",
    "PROVIDERS": "directory,hunter",
    "HUNTER_KEY": "a-key-of-the-sandbox",
}


class ShownHouse:
    """An installation, and what it takes to bring jobs into a state."""

    def __init__(self, up: Installation, sandbox: Sandbox, hook: Receiver) -> None:
        self.up = up
        self.sandbox = sandbox
        self.hook = hook
        words = ("--name", OPERATOR, "--scope", "operator", "--json")
        self.key: str = json.loads(up.ask("keys", "create", *words).stdout)["key"]
        """Opens the console to an operator."""
        words = ("--name", "Grace of finance", "--scope", "finance", "--json")
        self.finance_key: str = json.loads(up.ask("keys", "create", *words).stdout)[
            "key"
        ]
        """Opens it to finance."""
        self.http = httpx.Client(base_url=f"{up.url}/v1", timeout=60)

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """What the API answers to the customer's backend; no refusal."""
        return self._asked(KEY, method, path, json=body or None)

    def steer(self, method: str, path: str, reason: str = REASON) -> Any:
        """What the API answers to the operator; no refusal."""
        given = "params" if method == "DELETE" else "json"
        return self._asked(self.key, method, path, **{given: {"reason": reason}})

    def _asked(self, key: str, method: str, path: str, **given: Any) -> Any:
        headers = {"Authorization": f"Bearer {key}"}
        reply = self.http.request(method, path, headers=headers, **given)
        assert reply.is_success, f"{method} {path}: {reply.status_code} {reply.text}"
        return reply.json()

    def license(self, license_id: str, name: str) -> None:
        """A license with credits enough."""
        self.ask(
            "POST",
            "/licenses",
            id=license_id,
            name=name,
            plan="V3",
            payment_term="monthly",
            credits=500_000,
        )

    def export(self, license_id: str, name: str, first: int, stop: int) -> str:
        """An export of the directory's persons of these numbers; its job's id."""
        records = [_record(n, f"p{n}") for n in range(first, stop)]
        return self._submit(
            kind="export",
            license=license_id,
            user="grace@example.com",
            name=name,
            records=records,
            retrieve=["email"],
        )

    def push(
        self, license_id: str, name: str, connection: str, count: int, bad: int = 0
    ) -> str:
        """A push of so many persons, of whom the CRM rejects the first `bad`."""
        records = [_record(n, f"{license_id}-{name}-{n}") for n in range(count)]
        for record in records[:bad]:
            record["person"]["email"] = "no address"
        return self._submit(
            kind="push",
            license=license_id,
            user="alan@example.com",
            name=name,
            records=records,
            push={"connection": connection},
        )

    def _submit(self, **body: Any) -> str:
        job_id: str = self.ask("POST", "/jobs", **body)["id"]
        return job_id

    def connection(self, license_id: str, connector: str, name: str) -> str:
        """A connection to the sandbox's CRM of this kind; its id."""
        made: dict[str, str] = self.ask(
            "POST",
            "/connections",
            license=license_id,
            connector=connector,
            name=name,
            settings={"url": f"{self.sandbox.url}/{connector}"},
            secrets={_SECRETS[connector]: "token"},
        )
        return made["id"]

    def state(self, job_id: str) -> str:
        """Where a job stands."""
        found: str = self.ask("GET", f"/jobs/{job_id}")["state"]
        return found

    def reached(self, job_id: str, *states: str) -> str:
        """The job, once it stands there."""
        until(lambda: self.state(job_id) in states)
        return job_id

    def begun(self, job_id: str) -> str:
        """The job, once some of its records are delivered."""
        until(lambda: self.ask("GET", f"/jobs/{job_id}")["progress"]["delivered"])
        return job_id

    def has_told(self, job_id: str) -> bool:
        """Whether a webhook has been told of a job's end again, after its refusal."""
        return sum(job_id.encode() in call.body for call in self.hook.calls) > 1

    def stuck(self, license_id: str, name: str, first: int, stop: int) -> str:
        """An export that cannot be sealed: something lies where its file would."""
        pause = f"/pauses/license/{license_id}"
        self.steer("PUT", pause, "until its file is in the way")
        job_id = self.export(license_id, name, first, stop)
        self.up.files.joinpath("jobs", job_id, f"{job_id}.csv").mkdir(parents=True)
        self.steer("DELETE", pause, "its file is in the way")
        until(lambda: self._waits_for(job_id) == "storage")
        return job_id

    def _waits_for(self, job_id: str) -> str | None:
        waiting = self.ask("GET", f"/jobs/{job_id}")["waiting"]
        return waiting["reason"] if waiting else None


_LICENSES = {
    "acme": "Acme, Inc.",
    "globex": "Globex Corporation",
    "initech": "Initech",
}
_SECRETS = {"hubspot": "access_token", "pipedrive": "api_token"}


def _record(number: int, person: str) -> dict[str, Any]:
    company = number // 5
    return {
        "company": {
            "id": f"c{company}",
            "name": f"Company {company}",
            "domain": f"company{company}.example",
        },
        "person": {"id": person, "first_name": "Mary", "last_name": f"Smith {number}"},
    }


@contextmanager
def shown_house(folder: Path) -> Iterator[ShownHouse]:
    """An installation with what its licenses will use; nothing has been asked yet."""
    directory = folder / "directory.jsonl"
    directory.write_bytes(b"\n".join(directory_lines(_PERSONS)))
    sandbox = Sandbox()
    sandbox.behave("hubspot", limit=100_000)
    sandbox.behave("pipedrive", latency_ms=_SLOW_MS, limit=100_000, searches=100_000)
    settings = _SETTINGS | {
        "DIRECTORY": str(directory),
        "HUNTER_URL": f"{sandbox.url}/hunter",
    }
    try:
        with receiver() as hook, embedded(folder / "up", **settings) as up:
            up.wait_until_ready()
            house = ShownHouse(up, sandbox, hook)
            with house.http:
                yield house
    finally:
        sandbox.close()


def fill(house: ShownHouse) -> dict[str, str]:
    """Have a job stand in each state; their ids by what became of them."""
    for license_id, name in _LICENSES.items():
        house.license(license_id, name)
    house.hook.answer = _Refusal(house.hook).answer
    events = ["job.finished"]
    house.ask("POST", "/webhooks", license="acme", url=house.hook.url(), events=events)
    slow = house.connection("globex", "pipedrive", "Sales, Pipedrive")
    quick = house.connection("acme", "hubspot", "Marketing, HubSpot")
    house.steer("PUT", "/pauses/license/initech", "their CRM is being moved")
    jobs = {
        "running": house.push("globex", "All contacts of 2026", slow, 4_000),
        "queued": house.export("initech", "Autumn campaign", 0, 120),
        "succeeded": house.export("acme", "Newsletter, October", 0, 400),
        "partial": house.push("acme", "Leads of the fair", quick, 80, bad=3),
        "parked": house.push("acme", "Old address book", quick, 300, bad=120),
        "paused": house.export("initech", "Spring campaign", 120, 240),
        "cancelled": house.export("initech", "Sent by mistake", 240, 300),
    }
    house.steer("POST", f"/jobs/{jobs['paused']}/pause")
    house.steer("POST", f"/jobs/{jobs['cancelled']}/cancel")
    jobs["failed"] = house.stuck("globex", "Board members", 400, 420)
    house.steer("POST", f"/jobs/{jobs['failed']}/give-up")
    jobs["stuck"] = house.stuck("globex", "Suppliers", 420, 480)
    for state in ("succeeded", "partial", "cancelled", "failed", "paused"):
        house.reached(jobs[state], state)
    house.reached(jobs["parked"], "paused")
    house.begun(jobs["running"])
    until(lambda: house.has_told(jobs["succeeded"]))
    return jobs


class _Refusal:
    """Refuses each event once, as a server does that is being restarted."""

    def __init__(self, hook: Receiver) -> None:
        self._hook = hook
        self._seen: set[str] = set()

    def answer(self, number: int) -> Reply:
        event = json.loads(self._hook.calls[number - 1].body)["id"]
        if event in self._seen:
            return Reply()
        self._seen.add(event)
        return Reply(500)
