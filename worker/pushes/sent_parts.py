"""What was sent of a company or person, part by part. Pure.

A part is a field with its value, the company that a person belongs to, or a tag. A
record is unchanged where each part that would be written was sent before: which of
them a push chooses to send, and what it may overwrite, are no parts of it. A part is
kept as a digest of its name and one of both, so that another value takes its place.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping

_NAME_HEX, _VALUE_HEX = 8, 16
_COMPANY, _TAG = "\0company", "\0tag "
"""No field is called so."""

Parts = Mapping[str, str]
"""Digests of parts by their names."""


def of_fields(fields: Mapping[str, str]) -> dict[str, str]:
    """The parts that fields are."""
    return {name: _part(name, value) for name, value in fields.items()}


def of_choices(company_id: str | None, tags: Iterable[str]) -> dict[str, str]:
    """The parts that are no fields; what is nothing else is there at least."""
    parts = {_COMPANY: _part(_COMPANY, company_id or "")}
    return parts | {f"{_TAG}{tag}": _part(f"{_TAG}{tag}", "") for tag in tags}


def digest_of(parts: Parts, before: str = "") -> str:
    """Parts as the id map keeps them, with those of before that have other names."""
    named = {part[:_NAME_HEX] for part in parts.values()}
    kept = before.split() if is_of_parts(before) else ()
    others = (one for one in kept if one[:_NAME_HEX] not in named)
    return " ".join(sorted({*parts.values(), *others}))


def are_in(parts: Parts, digest: str) -> bool:
    """Whether all of these were sent, as far as a digest tells."""
    return {*parts.values()} <= {*digest.split()}


def is_of_parts(digest: str) -> bool:
    """Whether it tells of parts: older versions kept one digest of all together."""
    return all(len(one) == _NAME_HEX + _VALUE_HEX for one in digest.split())


def _part(name: str, value: str) -> str:
    return f"{_hex(name)[:_NAME_HEX]}{_hex(name, value)[:_VALUE_HEX]}"


def _hex(*what: str) -> str:
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()
