"""What keeps a text that was exported from being a formula in a spreadsheet.

Excel and its kin read a CSV cell as a formula by how it begins, quoted or not. The
apostrophe before it makes it a text; it is the spreadsheet's own mark for that.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

_BEGIN = frozenset("=+-@")
_CONTROLS = ("\t", "\r", "\n")

_PHONE = re.compile(r"\+[0-9 .()/-]*[0-9][0-9 .()/-]*")
"""A number as people write it: nothing in it names a cell, a function or a link."""

_PLAIN = re.compile(r"[0-9A-Za-z]")


def is_live(text: str) -> bool:
    """Whether a spreadsheet might take a cell's text for a formula.

    What stands before the first visible character does not count, for some of them
    drop it; and all that Unicode calls the same as `=`, `+`, `-` or `@` counts, for
    Excel reads the full-width ones.
    """
    if not text or _PLAIN.match(text):
        return False
    if text.startswith(_CONTROLS):
        return True
    first = next((character for character in text if _is_visible(character)), "")
    if unicodedata.normalize("NFKC", first) not in _BEGIN:
        return False
    return _PHONE.fullmatch(text) is None


def _is_visible(character: str) -> bool:
    # Z: spaces of all kinds. C: controls and what has no width, as a zero-width space.
    return unicodedata.category(character)[0] not in "ZC"


def as_text(text: str) -> str:
    """A cell that stays a text."""
    return f"'{text}" if is_live(text) else text


def as_texts(rows: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    """Rows whose cells all stay texts."""
    return ([as_text(cell) for cell in row] for row in rows)
