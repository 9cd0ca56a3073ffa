"""Values of settings: a text from the environment becomes what a setting holds."""

import re
from collections.abc import Callable
from math import isnan
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple, get_args

from worker.infrastructure.environment.secret import Secret

_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})
_FALSE = frozenset({"0", "false", "f", "no", "n", "off"})


class Bounds(NamedTuple):
    """What a value must keep to: numbers, a text's length, one of some words, a URL.

    `schemes` are what a URL may begin with, before its colon.
    """

    gt: float | None = None
    ge: float | None = None
    le: float | None = None
    length_min: int | None = None
    one_of: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()


def value_of(given: object, kind: object, bounds: Bounds) -> Any:  # noqa: ANN401 - of the setting's own type
    """What a setting of this type holds. Raises `ValueError` in words for a person."""
    kinds = set(get_args(kind)) or {kind}
    if given is None and NoneType in kinds:
        return None
    (wanted,) = kinds - {NoneType}
    value = _READ[wanted](given)
    _check(value, bounds)
    return value


def _check(value: object, bounds: Bounds) -> None:
    if isinstance(value, int | float):
        if bounds.gt is not None and not value > bounds.gt:
            raise ValueError(f"must be greater than {bounds.gt:g}")
        if bounds.ge is not None and not value >= bounds.ge:
            raise ValueError(f"must be at least {bounds.ge:g}")
        if bounds.le is not None and not value <= bounds.le:
            raise ValueError(f"must be at most {bounds.le:g}")
    text = value.get_secret_value() if isinstance(value, Secret) else value
    if bounds.length_min and isinstance(text, str) and len(text) < bounds.length_min:
        raise ValueError(f"must have {bounds.length_min} characters or more")
    if bounds.one_of and value not in bounds.one_of:
        raise ValueError(f"must be one of {', '.join(bounds.one_of)}")
    if bounds.schemes and isinstance(text, str) and text:
        _check_url(text, bounds.schemes)


def _check_url(text: str, schemes: tuple[str, ...]) -> None:
    scheme, colon, _ = text.partition("://")
    if not colon or scheme.lower() not in schemes:
        known = [f"{one}://" for one in schemes]
        raise ValueError(f"must begin with {' or '.join(known)}")


def shown(given: object, kind: object) -> str:
    """A value for a message, in quotes; nothing of a secret, no password of a URL."""
    if Secret in {kind, *get_args(kind)} or isinstance(given, Secret):
        return "its value, a secret,"
    return repr(_PASSWORD.sub(r"\1***@", str(given)))


_PASSWORD = re.compile(r"(://)[^/@\s]*@")


def _number(given: object) -> float:
    try:
        number = float(str(given))
    except ValueError as error:
        raise ValueError("must be a number") from error
    if isnan(number):
        raise ValueError("must be a number")
    return number


def _whole(given: object) -> int:
    try:
        return int(str(given))
    except ValueError as error:
        raise ValueError("must be a whole number") from error


def _truth(given: object) -> bool:
    word = str(given).strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("must be true or false")
    return word in _TRUE


def _text(given: object) -> str:
    if not isinstance(given, str):
        raise ValueError("must be a text")  # noqa: TRY004 - a value like any other
    return given


def _path(given: object) -> Path:
    return given if isinstance(given, Path) else Path(_text(given))


def _secret(given: object) -> Secret:
    return given if isinstance(given, Secret) else Secret(_text(given))


_READ: dict[object, Callable[[object], object]] = {
    bool: _truth,
    int: _whole,
    float: _number,
    str: _text,
    Path: _path,
    Secret: _secret,
}
