"""What a spreadsheet might take for a formula, or for a value other than its text.

Excel and its kin look at how a cell of a CSV begins and of what it is made, quoted or
not: `=1+1` is calculated, `0475` loses its zero, `1-2` becomes a day in February.
"""

import re
import unicodedata

_BEGIN = frozenset("=+-@")
_CONTROLS = ("\t", "\r", "\n")

_PHONE = re.compile(r"\+[0-9 .()/-]*[0-9][0-9 .()/-]*")
"""A number as people write it: nothing in it names a cell, a function or a link."""

_PLAIN = re.compile(r"[0-9A-Za-z]")

_DIGIT = re.compile(r"\d")

_TRUTHS = frozenset(
    (
        *("true", "vrai", "wahr", "waar", "verdadero", "vero"),
        *("false", "faux", "falsch", "onwaar", "falso"),
    )
)
"""The values without a digit that spreadsheets know, in some of their languages."""


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


def may_be_retyped(text: str) -> bool:
    """Whether a spreadsheet might make a number, a date, a time or a truth of a text.

    Which of them it does depends on its language, so every digit counts.
    """
    return _DIGIT.search(text) is not None or text.lower() in _TRUTHS
