"""Who has what: made from the names alone, the same in each process and for ever."""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

OBJECTED = "Objected"
"""A last name whose bearers have objected to being looked up."""

_STATUSES = ("valid", "valid", "valid", "accept_all", "unknown", "invalid")
_SHARES = 10_000


class Contact(NamedTuple):
    """What there is to be found of a person."""

    email: str | None
    email_status: str
    phone: str | None
    objected: bool


def key_of(first_name: str, last_name: str, company: str) -> str:
    """What a person is told apart by."""
    return "|".join(word.strip().lower() for word in (first_name, last_name, company))


def contact_of(
    first_name: str, last_name: str, company: str, *, hit_rate: float
) -> Contact:
    """The contact of a person; each of e-mail and phone is there at the hit rate."""
    digest = hashlib.sha256(key_of(first_name, last_name, company).encode()).digest()
    objected = last_name == OBJECTED
    has_email = not objected and _is_hit(digest[0:4], hit_rate)
    has_phone = not objected and _is_hit(digest[4:8], hit_rate)
    domain = company if "." in company else f"{_plain(company)}.example"
    local = f"{_plain(first_name)}.{_plain(last_name)}"
    return Contact(
        email=f"{local}@{domain}" if has_email else None,
        email_status=_STATUSES[digest[8] % len(_STATUSES)],
        phone=f"+1 555 {int.from_bytes(digest[9:12]) % 10**7:07}"
        if has_phone
        else None,
        objected=objected,
    )


def _is_hit(digest: bytes, rate: float) -> bool:
    return int.from_bytes(digest) % _SHARES < rate * _SHARES


def _plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum()) or "x"


def company_of(params: Mapping[str, object], *names: str) -> str:
    """The first of the fields that says which company."""
    return next((str(params[name]) for name in names if params.get(name)), "")
