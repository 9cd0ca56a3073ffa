"""What a request says of its file: `Content-Type`, its parameters, and how coded."""

from dataclasses import replace
from email.message import Message
from typing import NamedTuple

from worker.infrastructure.errors import bad
from worker.infrastructure.settings import Settings
from worker.quotes.readers.files.compression import coding_of
from worker.quotes.readers.formats import BY_CONTENT_TYPE, JSON_LINES, Format
from worker.quotes.readers.table import UNTOLD, ReadOptions

_PARAMETERS = ("charset", "header", "delimiter", "quote", "sheet")
_ALWAYS_UTF8 = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


class Declared(NamedTuple):
    """The format that is declared, and what else; `words` are all of it as one text."""

    format: Format
    options: ReadOptions
    words: str

    @property
    def said(self) -> dict[str, str]:
        """What is said of the reading, and nothing that is not."""
        names = ("encoding", "delimiter", "quote", "sheet", "compression")
        found = {name: getattr(self.options, name) for name in names}
        return {name: word for name, word in found.items() if word is not None}


def declared(content_type: str, content_encoding: str = "") -> Declared:
    """What two headers say. Raises `BadInput` where they say what is not read."""
    message = Message()
    message["Content-Type"] = content_type
    name = message.get_content_type()
    if name not in BY_CONTENT_TYPE or not content_type.strip():
        raise bad("Content-Type", f"must be one of {', '.join(BY_CONTENT_TYPE)}")
    format_ = BY_CONTENT_TYPE[name]
    given = {
        key.lower(): value
        for key, value in (message.get_params() or [])[1:]
        if key.lower() not in {"boundary", ""}
    }
    for key in given:
        if key not in _PARAMETERS:
            known = ", ".join(_PARAMETERS)
            raise bad("Content-Type", f"has {key}=, which is none of {known}")
    if given.get("header", "present").lower() != "present":
        reason = "header=absent is not read: give the file a line with its columns"
        raise bad("Content-Type", reason)
    charset = given.get("charset")
    if charset and format_ is JSON_LINES and charset.lower() not in _ALWAYS_UTF8:
        raise bad("Content-Type", f"charset={charset} is not read: JSON is UTF-8")
    options = ReadOptions(
        encoding=charset or None,
        delimiter=given.get("delimiter"),
        quote=given.get("quote"),
        sheet=given.get("sheet"),
        compression=coding_of(content_encoding),
    )
    words = [f"{key}={given[key]}" for key in sorted(given)]
    if options.compression:
        words.append(options.compression)
    return Declared(format_, options, "; ".join([name, *words]))


def within(settings: Settings, options: ReadOptions = UNTOLD) -> ReadOptions:
    """What is said of a file, and what reading it may cost."""
    return replace(
        options,
        decoded_bytes_max=settings.upload_decoded_bytes_max,
        workbook_bytes_max=settings.workbook_memory_bytes,
    )
