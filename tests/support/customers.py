"""Customers with known answers: each has a license, and knows what it must have paid.

They call over HTTP as an app backend does: the same `Idempotency-Key` until there is an
answer. What became of it is looked at once everything has come to rest.
"""

import csv
import io
import itertools
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Self

import httpx

from tests.support.fleet import answer, email_of, phone_of
from tests.support.installations import KEY

PERSONS = 2_000
"""In the directory; each customer starts with none of them paid."""

_ENDED = ("succeeded", "partial", "cancelled", "failed")
_AGAIN_S = 0.3
_ANSWERED_WITHIN_S = 240
"""However hard an installation is struck: some answer comes through."""
_TRANSIENT = (429, 500, 502, 503, 504)


class Client:
    """Calls until there is an answer."""

    def __init__(self, url: str) -> None:
        headers = {"Authorization": f"Bearer {KEY}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        """The first answer that is not a server's trouble."""
        if method == "POST":
            request["headers"] = {"Idempotency-Key": uuid.uuid4().hex}
        give_up_s = time.monotonic() + _ANSWERED_WITHIN_S
        last = ""
        while time.monotonic() < give_up_s:
            try:
                reply = self._http.request(method, path, **request)
                if reply.status_code not in _TRANSIENT:
                    return reply
                last = reply.text
            except httpx.HTTPError as error:
                last = repr(error)
            time.sleep(_AGAIN_S)
        raise AssertionError(f"{method} {path} is never answered; the last: {last}")

    def done(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """An answer that is no refusal."""
        reply = self.call(method, path, **request)
        assert reply.is_success, f"{method} {path}: {reply.status_code} {reply.text}"
        found: dict[str, Any] = reply.json()
        return found

    def job(self, job_id: str) -> dict[str, Any]:
        """The job as it stands."""
        return self.done("GET", f"/v1/jobs/{job_id}")

    def file(self, job_id: str) -> list[list[str]]:
        """The rows of a job's file, without its headings."""
        link = self.job(job_id)["file"]["url"]
        text = self.call("GET", link).content.decode("utf-8-sig")
        return list(csv.reader(io.StringIO(text)))[1:]


class Customer:
    """A license, its jobs, and what it must have paid once they have ended."""

    def __init__(self, client: Client, dice: random.Random) -> None:
        self.client = client
        self.dice = dice
        self.id = uuid.uuid4().hex[:12]
        self.jobs: list[str] = []
        self.pushed = 0
        self.check: Callable[[], int] = lambda: 0
        """Looks at what came of the jobs; returns what must have been spent."""
        body = {
            "id": self.id,
            "name": self.id,
            "plan": "V3",
            "payment_term": "monthly",
            "credits": 1_000_000,
        }
        client.done("POST", "/v1/licenses", json=body)

    def submit(self, first: int, stop: int, **more: Any) -> str:
        """Enqueue an export of these persons."""
        records = [
            {"company": {"id": f"c{n // 5}"}, "person": {"id": f"p{n}"}}
            for n in range(first, stop)
        ]
        body = {
            "kind": "export",
            "license": self.id,
            "user": "u",
            "retrieve": ["email", "phone"],
            "records": records,
            "export": {"format": "csv"},
        }
        return self._enqueue(body | more)

    def push(self, connection: dict[str, Any], count: int) -> str:
        """Enqueue a push of so many new contacts."""
        made = self.client.done("POST", "/v1/connections", json=connection)
        records = [
            {
                "company": {"id": f"{self.id}-c{n}", "name": f"Company {n}"},
                "person": {"id": f"{self.id}-p{n}", "last_name": f"P{n}"},
            }
            for n in range(count)
        ]
        body = {
            "kind": "push",
            "license": self.id,
            "user": "u",
            "records": records,
            "push": {"connection": made["id"]},
        }
        self.pushed = count
        return self._enqueue(body)

    def _enqueue(self, body: dict[str, Any]) -> str:
        job_id: str = self.client.done("POST", "/v1/jobs", json=body)["id"]
        self.jobs.append(job_id)
        return job_id

    def do(self, job_id: str, verb: str) -> None:
        """Pause, resume or cancel; a job that has ended already refuses it."""
        self.client.call("POST", f"/v1/jobs/{job_id}/{verb}")

    def has_ended(self) -> bool:
        """Whether all its jobs have."""
        return all(self.client.job(job)["state"] in _ENDED for job in self.jobs)

    def assert_right(self) -> None:
        """Everything that was promised of its jobs and its credits is true."""
        spent = self.check()
        balance = self.client.done("GET", f"/v1/licenses/{self.id}/balance")
        assert (balance["spent"], balance["reserved"]) == (spent, 0), balance
        for job_id in self.jobs:
            credits_ = self.client.job(job_id)["credits"]
            kept = credits_["settled"] + credits_["released"]
            assert credits_["reserved"] == kept, credits_


# -- What customers do --------------------------------------------------------


def _row(number: int) -> list[str]:
    has_email = email_of(number)
    return [
        f"c{number // 5}",
        f"p{number}",
        f"p{number}@example.com" if has_email else "",
        "valid" if has_email else "",
        f"+1 555 {number}" if phone_of(number) else "",
    ]


def _cost_of(rows: list[list[str]]) -> int:
    """What a file's rows cost whoever has paid for none of it."""
    companies = {row[0] for row in rows}
    emails = sum(bool(row[2]) for row in rows)
    return len(companies) + emails + 2 * sum(bool(row[4]) for row in rows)


def _range_of(dice: random.Random) -> tuple[int, int]:
    first = 5 * dice.randrange(PERSONS // 10)
    return first, first + dice.choice((10, 60, 240))


def _export(customer: Customer) -> None:
    """One export, exact to the row."""
    first, stop = _range_of(customer.dice)
    job_id = customer.submit(first, stop)

    def check() -> int:
        job = customer.client.job(job_id)
        assert job["state"] == "succeeded", job
        rows = customer.client.file(job_id)
        assert rows == [_row(number) for number in range(first, stop)]
        return answer(first, stop).settled

    customer.check = check


def _twins(customer: Customer) -> None:
    """Two exports of the same persons, of which one pays for each."""
    first, stop = _range_of(customer.dice)
    twins = [customer.submit(first, stop), customer.submit(first, stop)]

    def check() -> int:
        for job_id in twins:
            rows = customer.client.file(job_id)
            assert rows == [_row(number) for number in range(first, stop)]
        return answer(first, stop).settled

    customer.check = check


def _cancelled(customer: Customer) -> None:
    """An export that is cancelled: what is in its file is what was paid."""
    first, stop = _range_of(customer.dice)
    job_id = customer.submit(first, stop)
    time.sleep(customer.dice.random() * 2)
    customer.do(job_id, "cancel")

    def check() -> int:
        job = customer.client.job(job_id)
        assert job["state"] in ("cancelled", "succeeded"), job
        rows = customer.client.file(job_id) if job["file"] else []
        assert len(rows) == job["progress"]["delivered"]
        return _cost_of(rows)

    customer.check = check


def _paused(customer: Customer) -> None:
    """An export that is paused and goes on."""
    _export(customer)
    (job_id,) = customer.jobs
    customer.do(job_id, "pause")
    time.sleep(customer.dice.random() * 2)
    while customer.client.job(job_id)["state"] in ("pausing", "paused"):
        customer.do(job_id, "resume")


def _views(customer: Customer) -> None:
    """Views, each company twice: it is paid for once."""
    companies = customer.dice.randint(1, 8)
    for number in (*range(companies), *range(companies)):
        body = {"user": "u", "company_id": f"c{number}"}
        customer.client.done("POST", f"/v1/licenses/{customer.id}/views", json=body)
    customer.check = lambda: companies


def _refunded(customer: Customer) -> None:
    """A view that is refunded, and one that is not."""
    path = f"/v1/licenses/{customer.id}/views"
    for company in ("c1", "c2"):
        body = {"user": "u", "company_id": company}
        customer.client.done("POST", path, json=body)
    listed = customer.client.done("GET", f"/v1/charges?license={customer.id}")
    charge = listed["items"][0]["id"]
    customer.client.done("POST", f"/v1/charges/{charge}/refund", json={"reason": "x"})
    customer.check = lambda: 1


def pusher(sandbox_url: str) -> Callable[[Customer], None]:
    """A customer who pushes new contacts into the sandbox's HubSpot."""

    def push(customer: Customer) -> None:
        connection = {
            "license": customer.id,
            "connector": "hubspot",
            "name": "ours",
            "settings": {"url": f"{sandbox_url}/hubspot"},
            "secrets": {"access_token": "token"},
        }
        count = customer.dice.choice((5, 30, 90))
        job_id = customer.push(connection, count)

        def check() -> int:
            job = customer.client.job(job_id)
            assert job["state"] == "succeeded", job
            assert job["progress"]["delivered"] == count
            return count

        customer.check = check

    return push


WAYS: tuple[Callable[[Customer], None], ...] = (
    _export,
    _twins,
    _cancelled,
    _paused,
    _views,
    _refunded,
)


_AT_ONCE = 3
_LOOK_S = 0.5


class Crowd:
    """Customers that come in two threads until they are stopped.

    Each thread has so many at once: more than an installation can serve while it is
    struck would be a backlog, which says nothing about the blows.
    """

    def __init__(
        self, client: Client, seed: int, ways: tuple[Callable[[Customer], None], ...]
    ) -> None:
        self.customers: list[Customer] = []
        self.faults: list[BaseException] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._come, args=(client, random.Random(seed + n), ways[n::2])
            )
            for n in range(2)
        ]
        for thread in self._threads:
            thread.start()

    def _come(
        self,
        client: Client,
        dice: random.Random,
        ways: tuple[Callable[[Customer], None], ...],
    ) -> None:
        here: list[Customer] = []
        for way in itertools.cycle(ways):
            while len(here := [one for one in here if not one.has_ended()]) >= _AT_ONCE:
                if self._stop.wait(_LOOK_S):
                    return
            if self._stop.wait(dice.random()):
                return
            try:
                customer = Customer(client, dice)
                self.customers.append(customer)
                here.append(customer)
                way(customer)
            except AssertionError as fault:
                self.faults.append(fault)

    def stop(self) -> None:
        """Let no more come; those that are here end what they began."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def unended(self) -> Iterator[Customer]:
        """Those whose jobs have not all ended."""
        return (one for one in self.customers if not one.has_ended())
