"""Every figure on every page of finance is the API's, and the file's, to the credit."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from html import unescape
from typing import Any

import pytest

from storage.access_scopes import Scope
from tests.console.conftest import Browser
from tests.support.months import charges_of, export, make_month, refund
from worker.console.renderer import NOTHING
from worker.finance.reconciliation.reconciler import Reconciler

_FIGURE = re.compile(
    r"<(?P<tag>td|dd|span)[^>]*(?:class=\"n\"|data-figure)[^>]*>(.*?)</(?P=tag)>",
    re.DOTALL,
)
_BALANCE = ("granted", "spent", "reserved", "expired", "available")
_ACCOUNTS = ("available", "reserved", "spent", "expired")

_LINE = ("credits", "count")

Figure = int | None


def _figures(page: str) -> list[Figure]:
    """All numbers that a page shows in columns or facts, in their order."""
    texts = (re.sub(r"<[^>]+>", "", found[1]) for found in _FIGURE.findall(page))
    words = (unescape(each).replace("\u202f", "").strip() for each in texts)
    return [None if word in {"", NOTHING} else int(word) for word in words]


def _of(rows: Sequence[dict[str, Any]], *names: str) -> list[Figure]:
    return [row[name] for row in rows for name in names]


class _Walk:
    """Somebody of finance with a browser and a key, who looks at the same twice."""

    def __init__(self, api, browser: Browser) -> None:
        self._api = api
        self._browser = browser

    def page(self, path: str) -> list[Figure]:
        answer = self._browser.open(f"/console/{path}")
        assert answer.status_code == 200, path
        return _figures(answer.text)

    def json(self, path: str, **query: object) -> Any:
        answer = self._api.admin.get(f"/v1/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def items(self, path: str, **query: object) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.json(path, **query)["items"]
        return items

    def csv(self, path: str, **query: object) -> list[dict[str, str]]:
        answer = self._api.admin.get(f"/v1/{path}", params={"format": "csv", **query})
        assert answer.status_code == 200, answer.text
        return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))

    def overview(self, license_id: str, period: str) -> None:
        path, query = f"licenses/{license_id}/overview", {"period": period}
        told, lines = self.json(path, **query), self.csv(path, **query)
        sums = ("used", "remaining", "reserved", "expired", "granted")
        used = {one["kind"]: one["credits"] for one in told["by_kind"]}
        views = [used["view"]] if "view" in used else []
        tabs = [used.get("export", 0), used.get("push", 0)]
        users = _of(told["by_user"], "credits", "count")
        assert [_number(one[name]) for one in lines for name in _LINE] == users
        for kind in ("export", "push"):
            asked = {"kind": kind, **query}
            jobs = self.items(f"{path}/jobs", **asked)
            shown = self.page(f"licenses/{license_id}?kind={kind}&period={period}")
            credits_ = _of(jobs, "credits", "reserved")
            assert shown == [
                *(told[one] for one in sums),
                *users,
                *views,
                *tabs,
                *credits_,
            ]
            filed = self.csv(f"{path}/jobs", **asked)
            row = [
                _number(one[name]) for one in filed for name in ("credits", "reserved")
            ]
            assert row == credits_

    def statement(self, license_id: str, period: str) -> None:
        path, query = f"licenses/{license_id}/statement", {"period": period}
        told, lines = self.json(path, **query), self.csv(path, **query)
        before = told["previous"]
        facts = [0, before["closing"]["expired"]] if before else []
        shown = self.page(f"finance/{path}?period={period}")
        assert shown == [*facts, *_accounts(told), *_sections(told)]
        filed = [
            one for one in lines if one["section"] in _SECTIONS or one["available"]
        ]
        assert [_number(one[name]) for one in filed for name in _FILED] == [
            *_accounts(told, "count", "credits"),
            *_filed(told),
        ]

    def notes(self, license_id: str, period: str) -> None:
        filed = self.csv("refunds", license=license_id, period=period)
        for note in self.items("refunds", license=license_id):
            charges = self.items(f"refunds/{note['id']}/charges")
            shown = self.page(f"finance/refunds/{note['id']}")
            assert shown == [note["credits"], *_of(charges, "credits")]
            given = [
                int(one["credits"])
                for one in filed
                if one["credit_note"] == str(note["number"])
            ]
            assert sum(given) == (note["credits"] if note["number"] else 0)


_SECTIONS = {
    "top_up": "top_ups",
    "credit_note": "credit_notes",
    "item": "by_item",
    "user": "by_user",
    "job": "by_job",
    "late": "late",
    "memo": "memo",
}
_FILED = ("count", "credits", "refunded", *_ACCOUNTS)


def _number(cell: str) -> Figure:
    return int(cell) if cell else None


def _accounts(told: dict[str, Any], *order: str) -> Iterator[Figure]:
    """The table of accounts: opening, what moved, closing."""
    first, second = order or ("credits", "count")
    blank = [None] * (3 if order else 2)
    yield from blank
    yield from (told["opening"][name] for name in _ACCOUNTS)
    for line in told["movements"]:
        yield from (line[first], line[second], *blank[2:])
        yield from (line[name] for name in _ACCOUNTS)
    yield from blank
    yield from (told["closing"][name] for name in _ACCOUNTS)


def _sections(told: dict[str, Any]) -> Iterator[Figure]:
    """The tables below it, as the page shows them."""
    for name in _SECTIONS.values():
        lines = told[name]
        with_refunded = any(line.get("refunded") is not None for line in lines)
        for line in lines:
            yield from (line["count"], line.get("credits"))
            if with_refunded:
                yield line["refunded"]


def _filed(told: dict[str, Any]) -> Iterator[Figure]:
    for name in _SECTIONS.values():
        for line in told[name]:
            yield from (line["count"], line.get("credits"), line.get("refunded"))
            yield from (None,) * len(_ACCOUNTS)


@pytest.fixture
def settings() -> dict[str, object]:
    return {"refund_approval_credits": 4}


def test_every_figure_of_finance_is_the_apis_and_the_files(api, browse):
    month = make_month(api)
    api.license("globex", plan="V1", credits=12_345)
    refund(api, charges_of(api, month.late)[1]["id"])
    # A job that holds credits, and a note that waits for a second person.
    export(api, "acme", "ada", "c7")
    ada = api.key(Scope.FINANCE, person="Ada")
    made = ada.post("/v1/refunds", json={"job": month.done, "reason": "all of it"})
    assert made.json()["state"] == "awaiting_approval"
    walk = _Walk(api, browse(Scope.FINANCE))
    periods = {one: walk.items(f"licenses/{one}/periods") for one in ("acme", "globex")}
    assert walk.page("finance") == [
        *_of(periods["acme"][:1], *_BALANCE),
        *_of(periods["globex"][:1], *_BALANCE),
    ]
    for license_id, rows in periods.items():
        assert walk.page(f"finance/licenses/{license_id}") == [
            walk.json(f"licenses/{license_id}")["credits"],
            *_of(rows, *_BALANCE),
        ]
        for row in rows:
            walk.statement(license_id, row["starts_at"])
            walk.overview(license_id, row["starts_at"])
    listed = walk.items("charges", license="acme")
    assert walk.page("finance/charges?license=acme") == _of(listed, "credits")
    filed = walk.csv("charges", license="acme", period=month.starts_at)
    assert [(int(one["id"]), int(one["credits"])) for one in filed] == [
        (one["id"], one["credits"]) for one in listed
    ]
    for one in listed:
        assert walk.page(f"finance/charges/{one['id']}") == [one["credits"]]
    notes = walk.items("refunds")
    assert walk.page("finance/refunds") == _of(notes, "number", "credits", "charges")
    walk.notes("acme", month.starts_at)
    would = api.admin.post("/v1/refunds/preview", json={"job": month.late}).json()
    assert walk.page(f"finance/refunds/make?job={month.late}") == _of(
        [would], "credits", "charges"
    )
    for period in ("open", month.starts_at[:7]):
        api.admin.post("/v1/reconciliations", json={"period": period})
        Reconciler(api.deps).run()
    runs = walk.items("reconciliations")
    names = ("charges", "recomputed", "not_recomputable")
    last = _of(runs[:1], "recomputed", "charges", "not_recomputable")
    assert walk.page("finance/reconciliations") == [
        *last,
        *_of(runs, "differences_total", *names),
    ]
    for run in runs:
        told = walk.json(f"reconciliations/{run['id']}")
        sums = _of([told], "periods", "jobs", *names, "differences_total")
        reasons = _of(told["reasons"], "charges")
        records = _of(told["differences"], "record")
        assert walk.page(f"finance/reconciliations/{run['id']}") == [
            *sums,
            *records,
            *reasons,
        ]
