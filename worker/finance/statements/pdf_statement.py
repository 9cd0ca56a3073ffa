"""A statement as PDF: the table on pages, in a typeface that every reader has.

Courier is one of the fourteen that PDF readers bring: nothing has to be embedded, and
as all its characters are of one width, columns need no measuring. It knows Windows-1252
alone; what else a text holds is shown by its code point, so that nothing is lost.
"""

import io
from collections.abc import Iterator, Sequence
from itertools import groupby, islice

import pydyf

from storage.finance.statements.lines import Line, Section, Statement
from worker.finance.statements import statement_table
from worker.finance.statements.statement_table import COLUMNS, NUMBERS, TITLES

_PAGE = (842, 595)
"""A4 on its side, in points."""
_MARGIN = 36
_SIZE = 7.5
_LEADING = 10.0
_LINES_MAX = 49
_WIDTHS = {"key": 38, "job": 38, "at": 20}
_WIDTH = 10
"""In characters, of which 170 fit beside each other."""

_Printed = tuple[bool, str]
"""A line of a page, and whether it is bold."""


def rendered(statement: Statement) -> bytes:
    """The same bytes for the same statement."""
    document = pydyf.PDF()
    document.info["Title"] = pydyf.String(f"Statement of {statement.license_id}")
    fonts = pydyf.Dictionary(
        {"Plain": _font(document, "Courier"), "Bold": _font(document, "Courier-Bold")}
    )
    lines = list(_printed(statement))
    pages = max(1, -(-len(lines) // _LINES_MAX))
    rest = iter(lines)
    for number in range(1, pages + 1):
        foot = f"{statement.license_id}, page {number} of {pages}"
        _add_page(document, fonts, list(islice(rest, _LINES_MAX)), foot)
    written = io.BytesIO()
    document.write(written)
    return written.getvalue()


def _font(document: pydyf.PDF, name: str) -> bytes:
    font = pydyf.Dictionary(
        {
            "Type": "/Font",
            "Subtype": "/Type1",
            "BaseFont": f"/{name}",
            "Encoding": "/WinAnsiEncoding",
        }
    )
    document.add_object(font)
    reference: bytes = font.reference
    return reference


def _add_page(
    document: pydyf.PDF,
    fonts: pydyf.Dictionary,
    lines: Sequence[_Printed],
    foot: str,
) -> None:
    stream = pydyf.Stream(compress=True)
    stream.begin_text()
    top = _PAGE[1] - _MARGIN
    for number, (is_bold, line) in enumerate(lines):
        _show(stream, line, top - number * _LEADING, is_bold=is_bold)
    _show(stream, foot, _MARGIN - _LEADING, is_bold=False)
    stream.end_text()
    document.add_object(stream)
    document.add_page(
        pydyf.Dictionary(
            {
                "Type": "/Page",
                "Parent": document.pages.reference,
                "MediaBox": pydyf.Array([0, 0, *_PAGE]),
                "Contents": stream.reference,
                "Resources": pydyf.Dictionary({"Font": fonts}),
            }
        )
    )


def _show(stream: pydyf.Stream, line: str, height: float, *, is_bold: bool) -> None:
    stream.set_font_size("Bold" if is_bold else "Plain", _SIZE)
    stream.set_text_matrix(1, 0, 0, 1, _MARGIN, height)
    stream.show_text_string(line.encode("cp1252", "backslashreplace"))


def _printed(statement: Statement) -> Iterator[_Printed]:
    """The lines of all pages."""
    yield True, f"Statement of credits: {statement.license_id}"
    yield False, ""
    for name, value in statement_table.facts(statement):
        for part in _wrapped(value, 120):
            yield False, f"{name:<22}{part}"
            name = ""  # noqa: PLW2901 - said once
    for section, lines in groupby(statement.lines, lambda line: line.section):
        yield False, ""
        yield True, TITLES[section]
        yield True, _headings()
        for line in lines:
            yield from _row(section, line)


def _headings() -> str:
    return "".join(_aligned(name, name) for name in COLUMNS[1:])


def _row(section: Section, line: Line) -> Iterator[_Printed]:
    """A line of the table; what is too long for its column goes on below."""
    shown = dict(zip(COLUMNS, statement_table.cells(line), strict=True))
    if section in {Section.OPENING, Section.CLOSING}:
        shown["key"] = section.value
    wrapped = {
        name: _wrapped(_visible(shown[name]), _WIDTHS.get(name, _WIDTH) - 1)
        for name in COLUMNS[1:]
    }
    for number in range(max(map(len, wrapped.values()))):
        cells = (
            _aligned(name, parts[number] if number < len(parts) else "")
            for name, parts in wrapped.items()
        )
        yield False, "".join(cells).rstrip()


def _visible(cell: str) -> str:
    """As many characters as will be shown."""
    return cell.encode("cp1252", "backslashreplace").decode("cp1252")


def _wrapped(cell: str, width: int) -> list[str]:
    shown = _visible(cell)
    return [shown[at : at + width] for at in range(0, len(shown), width)] or [""]


def _aligned(name: str, cell: str) -> str:
    width = _WIDTHS.get(name, _WIDTH)
    return f"{cell:>{width - 1}} " if name in NUMBERS else f"{cell:<{width}}"
