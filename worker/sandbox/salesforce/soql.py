"""As much SOQL as is asked for here; everything else is malformed."""

import itertools
import re
from collections.abc import Callable
from typing import NamedTuple

from worker.sandbox.salesforce.org import KEY, Record
from worker.sandbox.unspoken import Unspoken

_QUERY = re.compile(
    r"SELECT (?P<names>[\w, ]+) FROM (?P<type>\w+)"
    r"(?: WHERE (?P<where>.+?))?(?: LIMIT (?P<limit>\d+))?"
)
_TOKEN = re.compile(r"'(?:[^'\\]|\\.)*'|[\w]+|[=(),]|!=")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_ID = re.compile(r"\w{15}(\w{3})?")
_SHORT_ID = 15


class Malformed(Exception):
    """A query that Salesforce would not understand."""


class Query(NamedTuple):
    """What is selected of which records."""

    names: list[str]
    type: str
    fits: Callable[[Record], bool]
    limit: int | None
    compared: list[str]
    """The fields that its condition looks at."""


def parsed(soql: str) -> Query:
    """A query. Raises `Malformed`, and `Unspoken` for all that is not known here."""
    found = _QUERY.fullmatch(soql)
    if found is None:
        raise _unspoken(soql)
    names = [one.strip() for one in found["names"].split(",")]
    limit = None if found["limit"] is None else int(found["limit"])
    if found["where"] is None:
        return Query(names, found["type"], lambda _: True, limit, [])
    tokens = _TOKEN.findall(found["where"])
    if "".join(tokens).replace(" ", "") != _squeezed(found["where"]):
        raise _unspoken(found["where"])
    condition, rest = _either(tokens)
    if rest:
        raise _unspoken(found["where"])
    compared = [
        name for name, sign in itertools.pairwise(tokens) if sign in {"=", "IN"}
    ]
    return Query(names, found["type"], condition, limit, compared)


def _unspoken(soql: str) -> Unspoken:
    return Unspoken(f"the sandbox does not know this SOQL: {soql}")


def _squeezed(where: str) -> str:
    """The condition without what stands between its tokens."""
    kept = re.findall(r"'(?:[^'\\]|\\.)*'|[^\s]", where)
    return "".join(kept).replace(" ", "")


_Condition = Callable[[Record], bool]


def _either(tokens: list[str]) -> tuple[_Condition, list[str]]:
    first, tokens = _all(tokens)
    some = [first]
    while tokens and tokens[0] == "OR":
        following, tokens = _all(tokens[1:])
        some.append(following)
    return lambda record: any(one(record) for one in some), tokens


def _all(tokens: list[str]) -> tuple[_Condition, list[str]]:
    first, tokens = _one(tokens)
    some = [first]
    while tokens and tokens[0] == "AND":
        following, tokens = _one(tokens[1:])
        some.append(following)
    return lambda record: all(one(record) for one in some), tokens


def _one(tokens: list[str]) -> tuple[_Condition, list[str]]:
    match tokens:
        case ["(", *rest]:
            condition, rest = _either(rest)
            if rest[:1] != [")"]:
                raise _unspoken("a bracket is missing")
            return condition, rest[1:]
        case [name, "=", literal, *rest]:
            return _among(name, [literal]), rest
        case [name, "IN", "(", *rest] if ")" in rest:
            end = rest.index(")")
            return _among(name, rest[:end:2]), rest[end + 1 :]
    raise _unspoken(" ".join(tokens))


def _among(name: str, literals: list[str]) -> _Condition:
    """A field has one of these values; texts are compared without regard to case."""
    wanted = {_value(literal) for literal in literals}
    if name == "Id":
        if not all(_ID.fullmatch(one) for one in wanted):
            raise Malformed("invalid ID field")
        wanted = {one[:_SHORT_ID] for one in wanted}
        return lambda record: record.id[:_SHORT_ID] in wanted
    if name != KEY:
        wanted = {one.lower() for one in wanted}

    def fits(record: Record) -> bool:
        value = record.value(name)
        plain = "" if value is None else str(value)
        # A box that nobody has ticked is false.
        if literals == ["false"]:
            plain = plain or "False"
        return (plain if name == KEY else plain.lower()) in wanted

    return fits


def _value(literal: str) -> str:
    if literal.startswith("'"):
        return _ESCAPE.sub(lambda at: _ESCAPED.get(at[1], at[1]), literal[1:-1])
    return {"null": "", "true": "True", "false": "False"}.get(literal, literal)
