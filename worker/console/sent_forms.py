"""What a form has sent: its fields, and the files that were chosen in it.

A form with files comes as `multipart/form-data`, in the syntax of e-mail. It is held in
memory, as far as the limit of bodies lets it come.
"""

from collections.abc import Mapping
from email.message import EmailMessage, Message
from email.parser import BytesParser
from email.policy import HTTP
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import parse_qsl

from starlette.datastructures import ImmutableMultiDict

MULTIPART = "multipart/form-data"
_NO_FILES: Mapping[str, bytes] = MappingProxyType({})


class SentForm(NamedTuple):
    """The fields of a form by name, and its files: what is in them."""

    fields: ImmutableMultiDict[str, str] = ImmutableMultiDict()
    files: Mapping[str, bytes] = _NO_FILES


def read(content_type: str, body: bytes) -> SentForm:
    """A form, as browsers send it; what is none has no fields."""
    if content_type.partition(";")[0].strip().lower() == MULTIPART:
        return _multipart(content_type, body)
    words = body.decode("utf-8", "replace")
    fields = parse_qsl(words, keep_blank_values=True)
    return SentForm(ImmutableMultiDict(fields))


def _multipart(content_type: str, body: bytes) -> SentForm:
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(EmailMessage, policy=HTTP).parsebytes(head + body)
    fields: list[tuple[str, str]] = []
    files: dict[str, bytes] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if not isinstance(name, str):
            continue
        if part.get_param("filename", header="content-disposition") is None:
            fields.append((name, _bytes(part).decode("utf-8", "replace")))
        else:
            files[name] = _bytes(part)
    return SentForm(ImmutableMultiDict(fields), files)


def _bytes(part: Message) -> bytes:
    """What is in a part; nothing where it says that it has parts itself."""
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""
