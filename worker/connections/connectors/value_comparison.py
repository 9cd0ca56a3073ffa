"""Whether a CRM has taken a value as it was sent, by what it answers. Pure.

CRMs spell values their own way: a number without its zeros, a phone number with its
country, an address of the web with its scheme. That is no other value. One that was
kept, cut or set to something else is, and whoever has sent it is told.
"""

import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation

from worker.connections.connectors.connector import Fields, Rejected

NOT_TAKEN = "value_not_taken"
"""The code of a record of which the CRM has kept or changed a value."""

_SEPARATOR = ";"
_WEB = re.compile(r"\Ahttps?://(www\.)?|\Awww\.", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_INSTANT_MS = re.compile(r"-?\d{11,14}")
_CALLED = re.compile(r"[\d\s()+./-]+")
_CALLED_MIN = 6
_YES, _NO = {"true", "yes", "1"}, {"false", "no", "0", ""}


def difference(sent: Fields, answered: Mapping[str, str]) -> Rejected | None:
    """The first field that the CRM has another value of, of those that it answers."""
    for name, value in sent.items():
        if name in answered and not is_same(value, answered[name]):
            has = f"has {answered[name]!r}" if answered[name] else "has none"
            message = f"the CRM has kept or changed the value of {name}: it {has}"
            return Rejected(code=NOT_TAKEN, message=message, field=name)
    return None


def is_same(sent: str, has: str) -> bool:
    """Whether two spellings are of one value."""
    if _plain(sent) == _plain(has) or _is_one_number(sent, has):
        return True
    truths = {sent.strip().lower(), has.strip().lower()}
    return (
        truths <= _YES
        or truths <= _NO
        or _is_one_instant(sent, has)
        or _is_called_the_same(sent, has)
        or _has_all(sent, has)
    )


def _plain(text: str) -> str:
    composed = unicodedata.normalize("NFKC", _WEB.sub("", text.strip())).casefold()
    return "".join(one for one in composed if one.isalnum())


def _is_one_number(sent: str, has: str) -> bool:
    with suppress(InvalidOperation):
        return Decimal(sent) == Decimal(has)
    return False


def _is_one_instant(sent: str, has: str) -> bool:
    """A day or an instant; one of them may be told in milliseconds since 1970."""
    days = [one for one in (sent, has) if _DATE.match(one)]
    if len(days) == 2:  # noqa: PLR2004 - both
        return sent[:10] == has[:10]
    return len(days) == 1 and any(_INSTANT_MS.fullmatch(one) for one in (sent, has))


def _is_called_the_same(sent: str, has: str) -> bool:
    """A phone number, of which one has its country or a trunk zero."""
    if not (_CALLED.fullmatch(sent) and _CALLED.fullmatch(has)):
        return False
    first, second = (re.sub(r"\D", "", one).lstrip("0") for one in (sent, has))
    shorter, longer = sorted((first, second), key=len)
    return len(shorter) >= _CALLED_MIN and longer.endswith(shorter)


def _has_all(sent: str, has: str) -> bool:
    """Several values in another order; behind a first separator, beside others."""
    wanted, there = _parts(sent), _parts(has)
    if sent.startswith(_SEPARATOR):
        return wanted <= there
    return _SEPARATOR in sent and wanted == there


def _parts(text: str) -> set[str]:
    return {one.strip() for one in text.split(_SEPARATOR) if one.strip()}
