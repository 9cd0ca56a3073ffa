"""A sheet of texts is byte for byte what XlsxWriter makes of them cell by cell."""

import io
from random import Random
from zipfile import ZipFile

import pytest
from xlsxwriter import Workbook

from worker.exports.writers.text_sheet import TextSheet

_PIECES = (
    *("a", " ", "é", "😀", "=1", "0", '"', "'", "\0", "_", "_x", "_x0041_"),
    *("<r>", "</r>", "&", "<", ">", "\t", "\n", "\x01", "\u00a0", "\u200e", "\ufffe"),
)
_USUAL = ("", "", "Ada", "Smith & Co", "x<y", "Head of Sales", "z" * 20_000)


class _CellByCell(TextSheet):
    def write_texts(self, number, cells):
        self._write_each(number, cells)


def _sheet_of(kind, rows):
    stream = io.BytesIO()
    with Workbook(stream, {"constant_memory": True}) as book:
        text = book.add_format({"num_format": "@"})
        sheet = book.add_worksheet("Records", kind)
        sheet.set_column(0, len(rows[0]) - 1, 18, text)
        sheet.prepare(len(rows[0]), text)
        for number, cells in enumerate(rows):
            sheet.write_texts(number, cells)
    with ZipFile(stream) as archive:
        return archive.read("xl/worksheets/sheet1.xml")


def _cell(random):
    if random.random() < 0.8:
        return random.choice(_USUAL)
    return "".join(random.choices(_PIECES, k=random.randrange(4)))


@pytest.mark.parametrize("seed", range(20))
def test_rows_are_the_same_bytes_whatever_is_in_them(seed):
    random = Random(seed)
    rows = [[_cell(random) for _ in range(4)] for _ in range(60)]
    rows += [[""] * 4, ["only one"], ["last"] * 4]
    assert _sheet_of(TextSheet, rows) == _sheet_of(_CellByCell, rows)


@pytest.mark.parametrize("cell", [*_PIECES, "<r>a</r>", " a", "a ", "a b", ""])
def test_a_cell_is_the_same_bytes_between_others(cell):
    rows = [["a", "b", "c"], ["x", cell, "y"], [cell, "x", cell], ["d", "", ""]]
    assert _sheet_of(TextSheet, rows) == _sheet_of(_CellByCell, rows)


def test_headings_alone_and_an_empty_sheet_are_the_same():
    for rows in ([["a", "b"]], [[""]]):
        assert _sheet_of(TextSheet, rows) == _sheet_of(_CellByCell, rows)
