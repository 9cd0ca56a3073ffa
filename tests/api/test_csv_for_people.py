"""What people open as CSV holds no formula, wherever its words come from."""

import csv
import io

import pytest
from sqlalchemy import text

from tests.support.stored_jobs import take_outcomes_apart

_LIVE = ("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\uff1d1+1")


def _rejected(api, company_ids) -> str:
    """A job whose records no workbook can hold."""
    api.license(credits=5_000)
    records = [{"company": {"id": one, "name": "\ufffe"}} for one in company_ids]
    body = {"kind": "export", "license": "acme", "user": "ada", "records": records}
    made = api.admin.post("/v1/jobs", json=body | {"export": {"format": "xlsx"}})
    job = api.ended(made.json()["id"])
    assert job["progress"]["rejected"] == len(records)
    return str(job["id"])


def _rows(api, job_id: str) -> list[dict[str, str]]:
    answer = api.admin.get(f"/v1/jobs/{job_id}/rejections?format=csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def test_no_id_and_no_word_of_a_crm_is_a_formula_in_a_list_of_rejections(api):
    ids = [one for one in _LIVE if one.isprintable()]
    job_id = _rejected(api, ids)
    words = list(_LIVE)
    with api.deps.database.transaction() as connection:
        take_outcomes_apart(connection)
        rows = connection.execute(text("SELECT record FROM outcomes ORDER BY record"))
        for (record,), message in zip(rows, words, strict=False):
            connection.execute(
                text(
                    "UPDATE record_outcomes SET message = :message, field = :message, "
                    "link = :message WHERE record = :record"
                ),
                {"message": message, "record": record},
            )
    rows = _rows(api, job_id)
    assert [row["company_id"] for row in rows] == [f"'{one}" for one in ids]
    for name in ("message", "field", "link"):
        assert [row[name] for row in rows] == [f"'{one}" for one in words[: len(ids)]]
    assert [row["record"] for row in rows] == [str(n + 1) for n in range(len(ids))]
    assert {row["person_id"] for row in rows} == {""}


@pytest.mark.parametrize("settings", [{"batch_records": 1_000}])
def test_a_list_of_many_pages_is_whole_and_in_order(api):
    job_id = _rejected(api, [f"c{number}" for number in range(1_001)])
    rows = _rows(api, job_id)
    assert [row["company_id"] for row in rows] == [f"c{n}" for n in range(1_001)]


def test_what_fails_at_the_first_page_is_a_problem_and_no_file(api):
    job_id = _rejected(api, ["c1"])
    rename = "ALTER TABLE record_outcomes RENAME COLUMN {} TO {}"
    with api.deps.database.transaction() as connection:
        connection.execute(text(rename.format("message", "words")))
    answer = api.admin.get(f"/v1/jobs/{job_id}/rejections?format=csv")
    with api.deps.database.transaction() as connection:
        connection.execute(text(rename.format("words", "message")))
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
