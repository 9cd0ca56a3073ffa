"""Which delimiter and quote a CSV has, and on which line its header stands.

What is declared holds; then what a first line `sep=;` says; then the header decides. It
has one delimiter, or one of several gives it a column that is known, or makes all of
the first rows equally long: else nobody guesses.
"""

import csv
import io
import re
from collections.abc import Collection
from typing import NamedTuple

from worker.infrastructure.errors import bad
from worker.quotes.readers.column_mapping import KNOWN_FIELDS, folded
from worker.quotes.readers.table import ReadOptions

_NAMED = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "\\t": "\t"}
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
_USUAL = ","
_QUOTES = '"', "'"
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[\r\n]*', re.IGNORECASE)
_NOTHING = " \t,;|\r\n\ufeff"
"""A line of these alone holds nothing."""

_KNOWN = frozenset(map(folded, KNOWN_FIELDS))
_ROWS_LOOKED_AT = 50


class Dialect(NamedTuple):
    """How a CSV is written. `skipped` are empty lines before its header."""

    delimiter: str
    quote: str
    header_line: int
    skipped: int


def dialect_of(sample: str, options: ReadOptions) -> Dialect:
    """How a text is written, by its first lines.

    Raises `BadInput` where it is empty, or two delimiters fit.
    """
    lines = io.StringIO(sample, newline="").readlines()
    at = _first_line(lines, 0)
    skipped, separator = at, None
    if at < len(lines) and (found := _SEPARATOR_LINE.fullmatch(lines[at])):
        separator = found[1]
        header = _first_line(lines, at + 1)
        skipped, at = at + header - at - 1, header
    if at == len(lines):
        raise bad(None, "the file is empty: a header line is missing", line=1)
    quote = _quote(options.quote, lines[at])
    given = options.delimiter or separator
    if given is not None:
        delimiter = _declared(given)
    else:
        delimiter = _recognised("".join(lines[at:]), lines[at], quote, at + 1)
    return Dialect(delimiter, quote, at + 1, skipped)


def _first_line(lines: list[str], first: int) -> int:
    """The first line from there on that holds something."""
    for at in range(first, len(lines)):
        if lines[at].strip(_NOTHING):
            return at
    return len(lines)


def _declared(given: str) -> str:
    delimiter = _NAMED.get(given.lower(), given)
    if len(delimiter) != 1 or delimiter in "\r\n\"'":
        message = f"{given!r} is none: say one character, or {', '.join(_NAMED)}"
        raise bad("delimiter", message)
    return delimiter


def _quote(given: str | None, header: str) -> str:
    """The quote: an apostrophe where all of the header stands in them."""
    if given is not None:
        if given not in _QUOTES:
            raise bad("quote", f"{given!r} is none: \" and ' are read")
        return given
    ends = rf"^'[^']*'(?:[{''.join(_DELIMITERS)}]'[^']*')*\s*$"
    return "'" if re.match(ends, header) else '"'


def _recognised(sample: str, header: str, quote: str, line: int) -> str:
    there = [one for one in _DELIMITERS if one in header]
    tables = {one: _rows(sample, one, quote) for one in there}
    fitting = {one: rows for one, rows in tables.items() if rows and len(rows[0]) > 1}
    if len(fitting) <= 1:
        return next(iter(fitting), _USUAL)
    for narrowed in (_with_known(fitting), _even(fitting)):
        if len(narrowed) == 1:
            return next(iter(narrowed))
    shown = " or ".join(
        f"{_DELIMITERS[one]} ({len(rows[0])} columns)" for one, rows in fitting.items()
    )
    message = f"may be {shown}: declare which, as in text/csv; delimiter=semicolon"
    raise bad("delimiter", message, line=line)


def _rows(sample: str, delimiter: str, quote: str) -> list[list[str]]:
    """The first rows by a delimiter, up to where they cannot be read."""
    rows: list[list[str]] = []
    lines = io.StringIO(sample, newline="")
    reader = csv.reader(lines, delimiter=delimiter, quotechar=quote, strict=True)
    try:
        for row in reader:
            if row:
                rows.append(row)
            if len(rows) > _ROWS_LOOKED_AT:
                break
    except csv.Error:
        pass
    return rows


def _with_known(tables: dict[str, list[list[str]]]) -> Collection[str]:
    """Those that make a known field of a column."""
    return [
        one
        for one, rows in tables.items()
        if not _KNOWN.isdisjoint(map(folded, rows[0]))
    ]


def _even(tables: dict[str, list[list[str]]]) -> Collection[str]:
    """Those by which all rows that can be seen have as many cells as the header."""
    return [one for one, rows in tables.items() if len(set(map(len, rows))) == 1]
