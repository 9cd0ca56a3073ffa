"""Cells of a CSV for spreadsheets that stay the texts they are, and the way back.

There are two ways. An apostrophe before a text that begins like a formula: it is the
spreadsheet's own mark for a text, though one in a file is shown. And `="0475"`, a
formula that is nothing but a text: it shows as `0475`, is one, and is saved as one.
Only the second keeps digits from becoming a number, so columns of phones and ids have
it. Nothing can break out of it: a text with a quote in it is never written so.

No two texts become the same cell: an apostrophe that is the text's own, before what
begins like a formula, gets another one before it.
"""

import re

from worker.spreadsheets.formulas import is_live, may_be_retyped

_MARK = "'"

ESCAPES = (_MARK, "=")
"""How cells begin of which `restored` may make another text."""

_FITS = re.compile(r'[^"\x00-\x1f\x7f]+')
_UNITS_MAX = 255
"""The longest text in a formula of Excel, in UTF-16 code units."""

_LITERAL = re.compile(r'="([^"]*)"', re.DOTALL)


def as_text(text: str) -> str:
    """A cell that is no formula."""
    return _MARK + text if _is_marked(text) else text


def as_literal(text: str) -> str:
    """A cell that is no formula, and no number, date or truth either.

    A text with a quote or a control in it is none of these by itself.
    """
    if not (may_be_retyped(text) or _is_marked(text)):
        return text
    return f'="{text}"' if _fits(text) else as_text(text)


def restored(cell: str) -> str:
    """The text that a cell of a CSV for spreadsheets was made of, in any column."""
    literal = _LITERAL.fullmatch(cell)
    if literal is not None:
        return literal[1]
    return cell[1:] if cell.startswith(_MARK) and _is_marked(cell) else cell


def _is_marked(text: str) -> bool:
    """Whether a mark stands before a text: where what follows its own ones is live."""
    return is_live(text.lstrip(_MARK) if text[:1] == _MARK else text)


def _fits(text: str) -> bool:
    """Whether a formula of one text can hold it."""
    if _FITS.fullmatch(text) is None:
        return False
    if 2 * len(text) <= _UNITS_MAX:
        return True
    return len(text.encode("utf-16-le")) <= 2 * _UNITS_MAX
