"""Rows of money as files: the same as by the API, with types that stay."""

import csv
import io
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from pyarrow import parquet

from storage.access_scopes import Scope as KeyScope
from storage.finance.warehouse.ledger_rows import Dataset, Scope
from storage.ledger import grants
from worker.finance.warehouse import bulk_export, period_rows
from worker.finance.warehouse.bulk_export import FileFormat
from worker.finance.warehouse.schema import SCHEMA, Type

_DOCS = Path(__file__).parents[3] / "docs" / "finance.md"
_EVER = datetime(1970, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)


def _all(api, path: str, **query: object) -> list[dict[str, object]]:
    """All items of a list, page by page."""
    found: list[dict[str, object]] = []
    asked = {**query, "limit": 3}
    while True:
        page = api.admin.get(path, params=asked).json()
        found += page["items"]
        if page["next"] is None:
            return found
        asked["cursor"] = page["next"]


def _csv(api, path: str, **query: object) -> list[dict[str, str]]:
    answer = api.admin.get(path, params={**query, "format": "csv"})
    assert (answer.status_code, answer.headers["content-type"]) == (
        200,
        "text/csv; charset=utf-8",
    )
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.mark.parametrize("path", ["transfers", "charges"])
def test_a_file_has_the_same_rows_as_the_pages(api, month, path):
    asked = {"license": "acme", "period": month.starts_at}
    pages, lines = _all(api, f"/v1/{path}", **asked), _csv(api, f"/v1/{path}", **asked)
    assert len(pages) == len(lines) > 10
    shared = [name for name in pages[0] if name in lines[0]]
    assert len(shared) >= 9
    for page, line in zip(pages, lines, strict=True):
        assert {name: line[name] for name in shared} == {
            name: "" if page[name] is None else str(page[name]) for name in shared
        }
    data = api.admin.get(f"/v1/{path}", params={**asked, "format": "parquet"}).content
    rows = parquet.read_table(io.BytesIO(data)).to_pylist()
    assert [str(row["id"]) for row in rows] == [line["id"] for line in lines]
    assert sum(row["credits"] for row in rows) == sum(
        int(line["credits"]) for line in lines
    )


def test_parquet_has_the_types_of_the_schema_also_where_there_are_no_rows(api, month):
    types = {
        Type.INTEGER: pa.int64(),
        Type.TEXT: pa.string(),
        Type.INSTANT: pa.timestamp("us", tz="UTC"),
    }
    for period in (month.starts_at, "1999-01"):
        for dataset, columns in SCHEMA.items():
            if dataset is Dataset.REFUNDS:
                continue
            answer = api.admin.get(
                f"/v1/{dataset}", params={"period": period, "format": "parquet"}
            )
            schema = parquet.read_schema(io.BytesIO(answer.content))
            assert [(one.name, one.type, one.nullable) for one in schema] == [
                (one.name, types[one.type], one.is_optional) for one in columns
            ]


def test_the_documentation_has_each_column_with_its_type():
    documented = re.findall(
        r"^\| `(\w+)` \| (integer|text|instant)(, or nothing)? \|",
        _DOCS.read_text(),
        re.MULTILINE,
    )
    assert documented == [
        (column.name, column.type, ", or nothing" if column.is_optional else "")
        for columns in SCHEMA.values()
        for column in columns
    ]


def test_a_period_is_named_by_its_month_and_all_licenses_are_meant_where_none_is(
    api, month
):
    api.license("blix")
    name = datetime.fromisoformat(month.starts_at).astimezone(UTC).strftime("%Y-%m")
    by_month = _csv(api, "/v1/transfers", period=name, license="acme")
    assert by_month == _csv(api, "/v1/transfers", period=month.starts_at)
    (running,) = api.admin.get("/v1/licenses/blix/periods").json()["items"]
    (grant,) = _csv(api, "/v1/transfers", period=running["starts_at"])
    assert (grant["license"], grant["kind"], grant["credits"]) == (
        "blix",
        "grant",
        "500",
    )


def test_a_bound_key_gets_the_rows_of_its_license_alone(api, month):
    api.license("blix")
    bound = api.key(KeyScope.FINANCE, "blix")
    asked = {"period": month.starts_at, "format": "csv"}
    for path in ("transfers", "charges", "statements"):
        lines = bound.get(f"/v1/{path}", params=asked).text.splitlines()
        assert len(lines) == 1, path
        other = bound.get(f"/v1/{path}", params={**asked, "license": "acme"})
        assert other.status_code == 404
    assert (
        "2 CREDIT"
        not in bound.get("/v1/journal", params=asked | {"format": "hledger"}).text
    )


def test_a_file_without_a_period_or_of_an_item_is_refused_with_what_to_do(api, month):
    for query, field in (
        ({}, "period"),
        ({"period": "2026-11", "item": "email"}, "item"),
    ):
        answer = api.admin.get("/v1/charges", params={"format": "csv", **query})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == field


def test_a_file_shows_one_moment_whatever_commits_while_it_is_sent(
    api, month, monkeypatch
):
    """A row with a lower id that commits late is not in it, nor is a newer one."""
    monkeypatch.setattr(period_rows, "ROWS", 2)
    api.license("blix")
    scope = Scope(_EVER[0], _EVER[1])

    def grant(connection, license_id: str) -> None:
        made = grants.grant(connection, license_id, 5, "while it is sent")
        assert made is grants.GrantResult.CREATED

    def rows() -> Iterator[bytes]:
        file = bulk_export.dataset(api.deps, Dataset.TRANSFERS, FileFormat.CSV, scope)
        return file.pieces

    def newer_while_it_is_sent() -> tuple[int, int]:
        before = b"".join(rows()).count(b"\n")
        pieces = rows()
        sent = [next(pieces)]
        with api.deps.database.transaction() as newer:
            grant(newer, "blix")
        sent += pieces
        return before, b"".join(sent).count(b"\n")

    with ThreadPoolExecutor(1) as other, api.deps.database.transaction() as late:
        grant(late, "acme")
        before, sent = other.submit(newer_while_it_is_sent).result(60)
    assert sent == before
    assert b"".join(rows()).count(b"\n") == before + 2
