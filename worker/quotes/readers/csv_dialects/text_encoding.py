"""In which encoding a text is: as declared, else as its bytes allow.

Valid UTF-8 is UTF-8, and so is what has as many characters of it as bytes that are
none. UTF-16 is known by its mark, or by every second byte being NUL. What else has no
valid UTF-8 is Windows-1252 where each byte means something there and no word looks like
one of another code page; where it does, two readings fit, and nobody guesses.
"""

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from worker.infrastructure.errors import bad

_AT_ONCE = 1 << 20
_SAMPLE = 1 << 12

_NAMES = (
    *("utf-8", "utf-16", "utf-16-le", "utf-16-be", "ascii"),
    *("windows-1250", "windows-1251", "windows-1252", "windows-1253", "windows-1254"),
    *("iso-8859-1", "iso-8859-2", "iso-8859-15", "macintosh", "ibm850", "koi8-r"),
    *("shift_jis", "gb18030", "big5", "euc-kr"),
)
DECLARABLE: dict[str, str] = {codecs.lookup(name).name: name for name in _NAMES}
"""Encodings that may be declared: Python's name of each, and the one we tell."""

_WINDOWS_1252 = "windows-1252"

_VALID_UTF8 = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_HIGH = re.compile(rb"[\x80-\xff]")
_UNDEFINED = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_LETTER = rb"\x8a\x8c\x8e\x9a\x9c\x9e\x9f\xc0-\xd6\xd8-\xf6\xf8-\xff"
_SIGN = rb"\xa1-\xa9\xac\xae-\xb1\xb3\xb5\xb6\xb8\xb9\xbc-\xbf\xd7\xf7"
_STARTS_ELSEWHERE = rb"\xa3\xa5\xaf\xb3\xb9\xbc\xbe"
_ENDS_ELSEWHERE = rb"\xb3\xb9"
_OTHER_CODE_PAGE = re.compile(
    # A sign between two letters, or where no word has one at its start or end, is a
    # letter elsewhere; three accented letters in a row are a word of another alphabet.
    rb"[A-Za-z%b][%b][A-Za-z%b]|[%b]{3}" % (_LETTER, _SIGN, _LETTER, _LETTER)
    + rb"|(?<![A-Za-z0-9%b])[%b][A-Za-z%b]" % (_LETTER, _STARTS_ELSEWHERE, _LETTER)
    + rb"|[A-Za-z%b]{3}[%b](?![0-9])" % (_LETTER, _ENDS_ELSEWHERE)
)


class TextEncoding(NamedTuple):
    """An encoding: Python's name of it, how it is told, and how it treats bad bytes.

    `ends_whole` says that the text's last line has its end.
    """

    codec: str
    name: str
    errors: str
    ends_whole: bool


def encoding_of(stream: BinaryIO, declared: str | None) -> TextEncoding:
    """The encoding of a whole stream, which is read once; it is left at its start.

    Raises `BadInput` where two fit, and where the declared one is not known or cannot
    be.
    """
    if declared is not None:
        return _declared(stream, declared)
    name = _recognised_by_nul(stream)
    if name is not None:
        return _sure(stream, name, name)
    try:
        return _looked_through(stream, "utf-8-sig", "utf-8", "strict")
    except UnicodeDecodeError:
        if not _is_windows_1252(stream):
            # What is broken is told by its line and field.
            return _looked_through(stream, "utf-8-sig", "utf-8", "surrogateescape")
        return _looked_through(stream, "cp1252", _WINDOWS_1252, "strict")


def _declared(stream: BinaryIO, declared: str) -> TextEncoding:
    try:
        known = codecs.lookup(declared.strip()).name
    except (LookupError, ValueError):
        known = ""
    name = DECLARABLE.get(known)
    if name is None:
        message = f"{declared!r} is not read; there are {', '.join(_NAMES)}"
        raise bad("encoding", message)
    if known in {"utf-8", "ascii"}:
        # What is broken is told by its line and field.
        codec = "utf-8-sig" if known == "utf-8" else known
        return _looked_through(stream, codec, name, "surrogateescape")
    return _sure(stream, known, name)


def _sure(stream: BinaryIO, codec: str, name: str) -> TextEncoding:
    """One in which all of the text must be valid."""
    try:
        return _looked_through(stream, codec, name, "strict")
    except (UnicodeDecodeError, UnicodeError) as error:
        message = f"is not valid {name}: declare another encoding, or save it as UTF-8"
        raise bad("encoding", message) from error


def _recognised_by_nul(stream: BinaryIO) -> str | None:
    """UTF-16 by its mark, or by its NULs where it has none."""
    stream.seek(0)
    start = stream.read(_SAMPLE)
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise bad("encoding", "is UTF-32, which is not read: save it as UTF-8")
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd = start[::2], start[1::2]
    for name, some, none in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if b"\0" not in none and some.count(0) * 2 > len(some):
            return name
    return None


def _looked_through(
    stream: BinaryIO, codec: str, name: str, errors: str
) -> TextEncoding:
    """Decode all once, holding little."""
    stream.seek(0)
    decoder = codecs.getincrementaldecoder(codec)(errors)
    last = ""
    while data := stream.read(_AT_ONCE):
        last = decoder.decode(data) or last
    last = decoder.decode(b"", final=True) or last
    stream.seek(0)
    return TextEncoding(codec, name, errors, last.endswith(("\n", "\r")))


def _is_windows_1252(stream: BinaryIO) -> bool:
    """Whether bytes that are not all UTF-8 are Windows-1252.

    Raises `BadInput` where they may be that or another code page.
    """
    valid = high = 0
    other: bytes | None = None
    for data in _chunks(stream):
        if _UNDEFINED.search(data):
            return False
        valid += len(_VALID_UTF8.findall(data))
        high += len(_HIGH.findall(_VALID_UTF8.sub(b"", data)))
        if other is None and (found := _OTHER_CODE_PAGE.search(data)):
            other = found[0]
    if valid >= high:
        return False
    if other is not None:
        shown = other.decode("cp1252")
        message = (
            f"is not UTF-8, and may be Windows-1252 ({shown!r} stands in it) or the "
            "code page of another language, such as windows-1250 or windows-1251: "
            "declare which, as in text/csv; charset=windows-1250, or save it as UTF-8"
        )
        raise bad("encoding", message)
    return True


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    stream.seek(0)
    while data := stream.read(_AT_ONCE):
        yield data
