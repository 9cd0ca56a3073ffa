"""What was sent of a company or person, part by part. Pure.

A part is a field with its value, the company that a person belongs to, or a tag. A
record is unchanged where each part that would be written was sent before: which of
them a push chooses to send, and what it may overwrite, are no parts of it. A part is
kept as a digest of its name and one of both, so that another value takes its place.
"""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted

_NAME_HEX, _VALUE_HEX = 8, 16
_PARTS_MAX = 4_096
_COMPANY, _TAG = "\0company", "\0tag "
"""No field is called so."""

Parts = Mapping[str, str]
"""Digests of parts by their names."""


def of_fields(fields: Mapping[str, str]) -> dict[str, str]:
    """The parts that fields are."""
    return {name: _part(name, value) for name, value in fields.items()}


@lru_cache(_PARTS_MAX)
def of_choices(company_id: str | None, tags: tuple[str, ...]) -> Parts:
    """The parts that are no fields; what is nothing else is there at least."""
    parts = {_COMPANY: _part(_COMPANY, company_id or "")}
    return parts | {f"{_TAG}{tag}": _part(f"{_TAG}{tag}", "") for tag in tags}


def whole_digest(fields: Mapping[str, str], choices: Parts) -> str:
    """The digest of all parts of a record of which nothing was sent before."""
    parts = {*map(_part, fields, fields.values()), *choices.values()}
    return " ".join(sorted(parts))


def digest_of(parts: Parts, before: str = "") -> str:
    """Parts as the id map keeps them, with those of before that have other names."""
    if not before:
        return " ".join(sorted({*parts.values()}))
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


@lru_cache(_PARTS_MAX)
def _part(name: str, value: str) -> str:
    """A part; of a job's records many have the same."""
    both = f"[{quoted(name)}, {quoted(value)}]"
    return _name(name) + _hex(both)[:_VALUE_HEX]


@lru_cache(_PARTS_MAX)
def _name(name: str) -> str:
    return _hex(f"[{quoted(name)}]")[:_NAME_HEX]


def _hex(what: str) -> str:
    return hashlib.sha256(what.encode()).hexdigest()
