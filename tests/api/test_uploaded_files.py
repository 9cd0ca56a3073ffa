"""Files over HTTP: what their headers say of them holds, or is refused by name."""

import gzip
import io

import xlsxwriter

ROWS = [["company_id", "company_name"], ["c1", "Société Générale"]]
CSV = "\n".join(map(",".join, ROWS)) + "\n"


def _xlsx() -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        book.add_worksheet().write_row(0, 0, ROWS[0])
        sheet = book.add_worksheet("Contacts")
        for at, row in enumerate(ROWS):
            sheet.write_row(at, 0, row)
        sheet.write(0, 2, "note")
    return out.getvalue()


def _sent(api, content: bytes, content_type: str, coding: str | None = None):
    headers = {"Content-Type": content_type}
    if coding:
        headers["Content-Encoding"] = coding
    return api.admin.post("/v1/uploads?license=acme", content=content, headers=headers)


def test_a_file_is_read_as_its_headers_say(api):
    api.license()
    spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    for content, *headers in (
        (CSV.encode(), "text/csv"),
        (CSV.encode("cp1250", "replace"), "text/csv; charset=windows-1250"),
        (CSV.replace(",", ";").encode(), 'text/csv; delimiter=";"'),
        (gzip.compress(CSV.encode()), "text/csv", "gzip"),
        (gzip.compress(CSV.encode()), "application/octet-stream"),
        (_xlsx(), f'{spreadsheet}; sheet="Contacts"'),
        (_xlsx(), "application/octet-stream; sheet=Contacts"),
    ):
        answer = _sent(api, content, *headers)
        assert answer.status_code == 201, (headers, answer.text)
        assert answer.json()["records"] == 1
    for content, field, *headers in (
        (CSV.encode(), "Content-Type", "text/csv; header=absent"),
        (CSV.encode(), "encoding", "text/csv; charset=klingon"),
        (CSV.encode(), "Content-Encoding", "text/csv", "compress"),
        (CSV.encode(), None, "text/csv", "gzip"),
        (_xlsx(), None, "text/csv"),
        (_xlsx(), None, spreadsheet),
    ):
        answer = _sent(api, content, *headers)
        assert answer.status_code == 422, (headers, answer.text)
        assert answer.json()["errors"][0].get("field") == field
