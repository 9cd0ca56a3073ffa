"""Each format of a statement is read back by another program, and says the same."""

import csv
import io
import json
from typing import Any

import openpyxl
import pypdf
import pytest

from tests.support.months import Month, make_month
from worker.finance.statements.statement_document import (
    document_of,
    encoded,
    statement_of,
)
from worker.finance.statements.statement_table import COLUMNS, NUMBERS, rows


@pytest.fixture
def month(api) -> Month:
    return make_month(api)


def had(api, month: Month, format_: str):
    query = {"period": month.starts_at, "format": format_}
    answer = api.admin.get(f"/v1/licenses/{month.license_id}/statement", params=query)
    assert answer.status_code == 200, answer.text
    return answer


def _table(api, month: Month) -> list[dict[str, str]]:
    statement = statement_of(had(api, month, "json").json())
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows(statement)]


def _by_hand(document: dict[str, Any]) -> dict[str, int]:
    """What people look for first, straight from the document."""
    moved = {line["kind"]: line["credits"] for line in document["movements"]}
    return moved | {f"closing {name}": n for name, n in document["closing"].items()}


def _of_table(table: list[dict[str, str]]) -> dict[str, int]:
    found = {}
    for row in table:
        if row["section"] == "movement":
            found[row["key"]] = int(row["credits"])
        if row["section"] == "closing":
            names = ("available", "reserved", "spent", "expired")
            found |= {f"closing {name}": int(row[name]) for name in names}
    return found


def test_its_csv_is_the_table(api, month):
    answer = had(api, month, "csv")
    assert answer.headers["content-type"].startswith("text/csv")
    read = list(csv.DictReader(io.StringIO(answer.text)))
    assert read == _table(api, month)
    assert _of_table(read) == _by_hand(had(api, month, "json").json())


def test_its_workbook_is_the_table_with_numbers_that_can_be_summed(api, month):
    answer = had(api, month, "xlsx")
    sheet = openpyxl.load_workbook(io.BytesIO(answer.content)).worksheets[0]
    heads, *cells = sheet.iter_rows(values_only=True)
    assert heads == COLUMNS
    read = []
    for row in cells:
        named = dict(zip(COLUMNS, row, strict=True))
        assert all(type(named[name]) in {int, type(None)} for name in NUMBERS)
        read.append({n: "" if v is None else str(v) for n, v in named.items()})
    assert read == _table(api, month)


def test_its_pages_hold_each_line_of_the_table(api, month):
    answer = had(api, month, "pdf")
    assert answer.headers["content-type"] == "application/pdf"
    pages = pypdf.PdfReader(io.BytesIO(answer.content)).pages
    text = "\n".join(page.extract_text() for page in pages)
    shown = [" ".join(line.split()) for line in text.splitlines()]
    for row in _table(api, month):
        in_key = row["section"] in {"opening", "closing"}
        key = row["section"] if in_key else row["key"][:37]
        words = [key, row["job"][:37], *(row[name] for name in COLUMNS[4:])]
        wanted = " ".join(word for word in words if word)
        without = [line.replace(row["at"][:19], "", 1) for line in shown]
        assert any(" ".join(line.split()) == wanted for line in without) or any(
            line.endswith(row["key"]) for line in shown
        ), row


def test_asked_twice_each_format_has_the_same_bytes(api, month):
    for format_ in ("json", "csv", "xlsx", "pdf"):
        first, second = had(api, month, format_), had(api, month, format_)
        assert first.content == second.content


def test_a_file_is_named_for_its_license_and_period(api, month):
    for format_ in ("csv", "xlsx", "pdf"):
        said = had(api, month, format_).headers["content-disposition"]
        day = month.starts_at[:10]
        assert (
            said == f"attachment; filename*=UTF-8''statement%20acme%20{day}.{format_}"
        )


def test_a_document_leads_back_to_its_statement(api, month):
    document = had(api, month, "json").text
    again = statement_of(json.loads(document))
    assert encoded(document_of(again)) == document


@pytest.mark.parametrize(
    "key", ["Łódź (a\\b) ✓ é", "x" * 200, "=1+1", "-5", "日本" * 50]
)
def test_whatever_a_client_names_is_on_the_pages_and_is_no_formula(api, key):
    api.license()
    body = {"credits": 7, "reference": key}
    assert api.admin.post("/v1/licenses/acme/top-ups", json=body).status_code == 201
    path = "/v1/licenses/acme/statement"
    pdf = api.admin.get(path, params={"format": "pdf"}).content
    text = "".join(p.extract_text() for p in pypdf.PdfReader(io.BytesIO(pdf)).pages)
    spelled = key.encode("cp1252", "backslashreplace").decode("cp1252")
    assert spelled[:37].strip() in text
    xlsx = api.admin.get(path, params={"format": "xlsx"}).content
    sheet = openpyxl.load_workbook(io.BytesIO(xlsx)).worksheets[0]
    (cell,) = [row[1] for row in sheet.iter_rows() if row[0].value == "top_up"]
    assert (cell.value, cell.data_type) == (key, "s")
    told = api.admin.get(path, params={"format": "csv"}).text
    assert "\n=" not in told
    assert f"top_up,{key}" not in told or not key.startswith(("=", "-"))
