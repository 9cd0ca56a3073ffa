"""Every code of the contract is met, and a refusal leaves everything as it was."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql
from psycopg.rows import TupleRow
from sqlalchemy import make_url

from storage.access_scopes import Scope
from tests.api.conftest import Api
from tests.support import job_runs
from worker.api.problem_details import STATUS
from worker.infrastructure.errors import Code

_RATE_A_MINUTE = 250
_CSV = {"Content-Type": "text/csv"}
_KEPT_APART = {"processes", "counters", "history"}
"""What is only watched: processes say it whenever they come to it."""
_LAST_USE = "last_used_at"


@pytest.fixture
def settings() -> dict[str, object]:
    return {
        "rate_a_minute": _RATE_A_MINUTE,
        "body_bytes_max": 20_000,
        "upload_bytes_max": 1_000,
        "inline_records_max": 10,
        "records_max": 20,
    }


@contextmanager
def _plainly(url: str) -> Iterator[psycopg.Connection[TupleRow]]:
    """A connection that is no part of what is tested."""
    plain = make_url(url).set(drivername="postgresql")
    address = plain.render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as connection:
        yield connection


def rows_of(url: str) -> dict[str, list[Any]]:
    """Every row of every table, but for heartbeats and when a key was last used."""
    with _plainly(url) as connection:
        tables = connection.execute("""
            SELECT table_name FROM information_schema.tables
             WHERE table_schema = 'public' AND table_type = 'BASE TABLE'""")
        names = {name for (name,) in tables} - _KEPT_APART
        return {
            name: [
                row
                for (row,) in connection.execute(
                    sql.SQL(
                        "SELECT (to_jsonb(t) - {})::text FROM {} AS t ORDER BY 1"
                    ).format(_LAST_USE, sql.Identifier(name))
                )
            ]
            for name in names
        }


def files_of(home: Path) -> set[str]:
    """What the store holds, but for inputs: those of no quote are swept away."""
    names = {
        path.relative_to(home / "files").as_posix()
        for path in (home / "files").rglob("*")
        if path.is_file()
    }
    return {name for name in names if not name.startswith("inputs/")}


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Licenses, keys, quotes and jobs that a refusal can be about."""

    api: Api
    url: str
    producer: httpx.Client
    finance: httpx.Client
    stranger: httpx.Client
    quotes: dict[str, str]
    done: str
    waiting: str
    cancelled: str
    charge: int

    def post(
        self, path: str, body: object, *, by: httpx.Client | None = None
    ) -> httpx.Response:
        """A POST that asks to be done once."""
        client = by or self.api.admin
        return client.post(f"/v1/{path}", json=body, headers={"Idempotency-Key": "k"})

    def upload(self, data: str, *, skip_bad: bool = False) -> httpx.Response:
        """An upload that asks to be done once."""
        return self.api.admin.post(
            f"/v1/uploads?license=acme&skip_bad={str(skip_bad).lower()}",
            content=data,
            headers=_CSV | {"Idempotency-Key": "k"},
        )


def _body(license_id: str = "acme", user: str = "ada", records: int = 1) -> Any:
    return {
        "kind": "export",
        "license": license_id,
        "user": user,
        "records": [{"company": {"id": f"c{n}"}} for n in range(records)],
    }


def _furnish(api: Api) -> dict[str, str]:
    """The licenses and users, and a quote for each, by name."""
    api.license(plan="V3", features=["user_permissions"])
    api.license("poor", plan="V3", credits=0)
    api.license("later", plan="V3", starts_at="2100-01-01T00:00:00Z")
    users = "/v1/licenses/acme/users"
    for user, role, allowed in (("bob", "member", False), ("eve", "viewer", True)):
        body = {"role": role, "credits_allowed": allowed}
        api.admin.put(f"{users}/{user}", json=body)
    quotes = {
        name: api.admin.post("/v1/quotes", json=body).json()["id"]
        for name, body in (
            ("ada", _body()),
            ("bob", _body(user="bob")),
            ("eve", _body(user="eve")),
            ("poor", _body("poor")),
            ("later", _body("later")),
        )
    }
    brief = api.deps.settings.model_copy(update={"quote_lifetime_s": 0.000_001})
    over = job_runs.quote(dataclasses.replace(api.deps, settings=brief), ["c9"])
    return quotes | {"over": over.id}


@pytest.fixture
def house(api, database_url):
    quotes = _furnish(api)

    def submit(company: str) -> str:
        body = _body() | {"records": [{"company": {"id": company}}]}
        return str(api.admin.post("/v1/jobs", json=body).json()["id"])

    done, cancelled = submit("d1"), submit("d2")
    api.admin.post(f"/v1/jobs/{cancelled}/cancel")
    api.work()
    (charge,) = api.admin.get(f"/v1/jobs/{done}/charges").json()["items"]
    refund = {"reason": "wrong"}
    api.admin.post(f"/v1/charges/{charge['id']}/refund", json=refund)
    used = api.admin.post("/v1/quotes", json=_body(records=2)).json()["id"]
    waiting = api.admin.post("/v1/jobs", json={"quote": used}).json()["id"]
    top_up = {"credits": 1, "reference": "invoice"}
    api.admin.post("/v1/licenses/acme/top-ups", json=top_up)
    api.admin.post("/v1/quotes", json=_body(), headers={"Idempotency-Key": "taken"})
    return House(
        api=api,
        url=database_url,
        producer=api.key(Scope.PRODUCER, "acme"),
        finance=api.key(Scope.FINANCE),
        stranger=api.key(Scope.ADMIN, "poor"),
        quotes=quotes | {"used": used},
        done=done,
        waiting=waiting,
        cancelled=cancelled,
        charge=charge["id"],
    )


def _too_often(house: House) -> httpx.Response:
    client = house.api.key(Scope.ADMIN)
    for _ in range(_RATE_A_MINUTE):
        answer = client.get("/v1/licenses/nobody")
    return client.get("/v1/licenses") if answer.status_code == 404 else answer


def _without_a_database(house: House) -> httpx.Response:
    name = str(make_url(house.url).database)
    server = make_url(house.url).set(database="postgres")
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    address = server.render_as_string(hide_password=False)
    with _plainly(address) as connection:
        connection.execute(allow.format(sql.Identifier(name), sql.SQL("false")))
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [name],
        )
        try:
            return house.post("jobs", _body())
        finally:
            connection.execute(allow.format(sql.Identifier(name), sql.SQL("true")))


Send = Callable[[House], httpx.Response]

_VIEW = {"user": "ada", "company_id": "c77"}
_LICENSE = {"id": "acme", "name": "A", "plan": "V1", "payment_term": "monthly"}

_CASES: dict[str, tuple[Code, Send]] = {
    "an unknown field": (
        Code.INVALID_REQUEST,
        lambda house: house.post("quotes", _body() | {"more": 1}),
    ),
    "a number as text": (
        Code.INVALID_REQUEST,
        lambda house: house.post("licenses", _LICENSE | {"credits": "5"}),
    ),
    "no JSON": (
        Code.INVALID_REQUEST,
        lambda house: house.api.admin.post("/v1/jobs", content=b"{"),
    ),
    "a NUL in an id": (
        Code.INVALID_REQUEST,
        lambda house: house.post("jobs", _body(user="a\0b")),
    ),
    "a lone surrogate in a record": (
        Code.INVALID_REQUEST,
        lambda house: house.api.admin.post(
            "/v1/quotes",
            content=b'{"kind": "export", "license": "acme", "user": "u",'
            b' "records": [{"company": {"id": "c", "name": "\\ud800"}}]}',
        ),
    ),
    "a bad line of an upload": (
        Code.INVALID_REQUEST,
        lambda house: house.upload("company_id,person_id\nc1,p1\n,p2\n"),
    ),
    "an upload of bad lines alone": (
        Code.INVALID_REQUEST,
        lambda house: house.upload("company_id,person_id\n,p2\n", skip_bad=True),
    ),
    "credits that do not suffice": (
        Code.INSUFFICIENT_CREDITS,
        lambda house: house.post("jobs", {"quote": house.quotes["poor"]}),
    ),
    "credits that do not suffice at once": (
        Code.INSUFFICIENT_CREDITS,
        lambda house: house.post("jobs", _body("poor")),
    ),
    "credits that do not suffice for a view": (
        Code.INSUFFICIENT_CREDITS,
        lambda house: house.post("licenses/poor/views", _VIEW),
    ),
    "a disallowed user's job": (
        Code.CREDITS_NOT_ALLOWED,
        lambda house: house.post("jobs", {"quote": house.quotes["bob"]}),
    ),
    "a disallowed user's job at once": (
        Code.CREDITS_NOT_ALLOWED,
        lambda house: house.post("jobs", _body(user="bob")),
    ),
    "a disallowed user's view": (
        Code.CREDITS_NOT_ALLOWED,
        lambda house: house.post("licenses/acme/views", _VIEW | {"user": "bob"}),
    ),
    "a viewer's job": (
        Code.CREDITS_NOT_ALLOWED,
        lambda house: house.post("jobs", {"quote": house.quotes["eve"]}),
    ),
    "a viewer's view": (
        Code.CREDITS_NOT_ALLOWED,
        lambda house: house.post("licenses/acme/views", _VIEW | {"user": "eve"}),
    ),
    "another scope": (
        Code.FORBIDDEN,
        lambda house: house.post("quotes", _body(), by=house.finance),
    ),
    "no key": (
        Code.UNAUTHORIZED,
        lambda house: house.post("jobs", _body(), by=house.api.client(None)),
    ),
    "a key that is none": (
        Code.UNAUTHORIZED,
        lambda house: house.post("jobs", _body(), by=house.api.client("hf_none")),
    ),
    "no such license": (
        Code.NOT_FOUND,
        lambda house: house.post("jobs", _body("nobody")),
    ),
    "no such upload": (
        Code.NOT_FOUND,
        lambda house: house.post("jobs", _body() | {"records": None, "upload": "u"}),
    ),
    "the quote of another license": (
        Code.NOT_FOUND,
        lambda house: house.post(
            "jobs", {"quote": house.quotes["ada"]}, by=house.stranger
        ),
    ),
    "no such route": (
        Code.NOT_FOUND,
        lambda house: house.post("nothing", {}),
    ),
    "a license with other content": (
        Code.ALREADY_EXISTS,
        lambda house: house.post("licenses", _LICENSE | {"credits": 5}),
    ),
    "a reference that added other credits": (
        Code.ALREADY_EXISTS,
        lambda house: house.post(
            "licenses/acme/top-ups", {"credits": 2, "reference": "invoice"}
        ),
    ),
    "a ceiling below the quote": (
        Code.CEILING_EXCEEDED,
        lambda house: house.post("jobs", _body() | {"max_credits": 0}),
    ),
    "a ceiling below the retry": (
        Code.CEILING_EXCEEDED,
        lambda house: house.post(f"jobs/{house.cancelled}/retry", {"max_credits": 0}),
    ),
    "a quote that has expired": (
        Code.QUOTE_EXPIRED,
        lambda house: house.post("jobs", {"quote": house.quotes["over"]}),
    ),
    "another request under the same key": (
        Code.IDEMPOTENCY_MISMATCH,
        lambda house: house.api.admin.post(
            "/v1/quotes", json=_body(records=2), headers={"Idempotency-Key": "taken"}
        ),
    ),
    "a quote that has made its job": (
        Code.WRONG_STATE,
        lambda house: house.post("jobs", {"quote": house.quotes["used"]}),
    ),
    "a job before its license starts": (
        Code.INSUFFICIENT_CREDITS,
        lambda house: house.post("jobs", {"quote": house.quotes["later"]}),
    ),
    "a view before its license starts": (
        Code.INSUFFICIENT_CREDITS,
        lambda house: house.post(
            "licenses/later/views", {"user": "ada", "company_id": "c"}
        ),
    ),
    "a top-up before its license starts": (
        Code.WRONG_STATE,
        lambda house: house.post(
            "licenses/later/top-ups", {"credits": 2, "reference": "r"}
        ),
    ),
    "a pause after the end": (
        Code.WRONG_STATE,
        lambda house: house.post(f"jobs/{house.done}/pause", None),
    ),
    "a retry of what still runs": (
        Code.WRONG_STATE,
        lambda house: house.post(f"jobs/{house.waiting}/retry", None),
    ),
    "a second refund": (
        Code.WRONG_STATE,
        lambda house: house.post(f"charges/{house.charge}/refund", {"reason": "r"}),
    ),
    "a body that is too large": (
        Code.TOO_LARGE,
        lambda house: house.api.admin.post("/v1/quotes", content=b" " * 20_001),
    ),
    "too many records in a body": (
        Code.TOO_LARGE,
        lambda house: house.post("jobs", _body(records=11)),
    ),
    "an upload that is too large": (
        Code.TOO_LARGE,
        lambda house: house.upload("company_id\n" + "c" * 1_000),
    ),
    "an upload of too many records": (
        Code.TOO_LARGE,
        lambda house: house.upload("company_id\n" + "c\n" * 21),
    ),
    "a key that asks too often": (Code.RATE_LIMITED, _too_often),
    "a database that is gone": (Code.UNAVAILABLE, _without_a_database),
}

_FACTS = {"available": 0, "needed": 1, "fits_records": 0}


def test_each_code_of_the_contract_has_its_refusal():
    # What nobody has foreseen is no refusal.
    refusals = set(Code) - {Code.INTERNAL_ERROR}
    assert {code for code, _ in _CASES.values()} == refusals
    assert set(Code) == set(STATUS)


def test_a_refusal_says_its_code_and_leaves_everything_as_it_was(
    house, tmp_path, subtests
):
    for name, (code, send) in _CASES.items():
        with subtests.test(name):
            rows, files = rows_of(house.url), files_of(tmp_path)
            answer = send(house)
            _is_problem(answer, code)
            after = rows_of(house.url)
            told = len(after.pop("notifications")) - len(rows.pop("notifications"))
            assert told == (code is Code.CREDITS_NOT_ALLOWED)
            if code is Code.RATE_LIMITED:
                after.pop("keys"), rows.pop("keys")  # the case makes a key of its own
            assert after == rows
            assert files_of(tmp_path) == files
    house.api.work()


def _is_problem(answer: httpx.Response, code: Code) -> None:
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (STATUS[code], code), answer.text
    assert {"type", "title", "status", "detail"} <= set(problem)
    assert problem["status"] == answer.status_code
    if code is Code.INSUFFICIENT_CREDITS:
        assert problem.items() >= _FACTS.items()
    if code in {Code.RATE_LIMITED, Code.UNAVAILABLE}:
        assert int(answer.headers["Retry-After"]) > 0


def test_what_was_refused_may_succeed_later_under_the_same_key(house):
    refused = house.post("jobs", {"quote": house.quotes["bob"]})
    assert refused.status_code == 403
    allowed = {"role": "member", "credits_allowed": True}
    house.api.admin.put("/v1/licenses/acme/users/bob", json=allowed)
    made = house.post("jobs", {"quote": house.quotes["bob"]})
    assert made.status_code == 202, made.text
    assert house.post("jobs", {"quote": house.quotes["bob"]}).content == made.content
    house.api.work()


def test_a_refused_upload_may_be_mended_under_the_same_key(house):
    assert house.upload("company_id,person_id\n,p\n").status_code == 422
    kept = house.upload("company_id,person_id\nc,p\n")
    assert kept.status_code == 201, kept.text
