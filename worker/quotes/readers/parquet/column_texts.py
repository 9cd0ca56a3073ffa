"""What each type of column becomes: exact texts, or a problem of its cell.

All rows of a batch are turned at once, by Arrow where it writes a value as it is
usually written, else cell by cell. `docs/formats.md` has the table.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import pyarrow as pa  # type: ignore[import-untyped]
from pyarrow import compute as pc

_NONE: Mapping[int, str] = {}


class Texts(NamedTuple):
    """A column's cells, with what is wrong with some by their places.

    Those of `unreadable` have no text. Those of `unfit_ids` have one, which may not be
    what was meant once: they name nobody.
    """

    cells: list[str]
    unreadable: Mapping[int, str] = _NONE
    unfit_ids: Mapping[int, str] = _NONE


Column = Any
"""An array of pyarrow, which ships no types."""

TextsOf = Callable[[Column], Texts]


def texts_of(stored: Any, meant: Any, *, unmarked_bytes: bool) -> TextsOf | None:  # noqa: ANN401 - the same
    """How columns of a type become texts; None where they do not.

    `meant` is what its writer says that it was in memory, where that says more.
    `unmarked_bytes`: what is marked as bytes alone may be text.
    """
    if isinstance(stored, pa.BaseExtensionType):
        return _OF_EXTENSIONS.get(stored.extension_name)
    if isinstance(meant, pa.BaseExtensionType):
        return _OF_EXTENSIONS.get(meant.extension_name)
    if pa.types.is_duration(meant):
        return lambda column: _durations(column, _A_SECOND[meant.unit])
    if pa.types.is_timestamp(stored) and pa.types.is_timestamp(meant):
        has_zone = (stored.tz or meant.tz) is not None
        return lambda column: _instants(column, has_zone=has_zone)
    if pa.types.is_binary(stored):
        return _bytes if unmarked_bytes else None
    for is_of, found in _BY_TYPE:
        if is_of(stored):
            return found
    return None


def _strings(column: Column) -> Texts:
    if column.null_count:
        column = column.fill_null("")
    try:
        return Texts(column.to_pylist())
    except UnicodeDecodeError:
        # Read as it is, so that a problem names its row and field.
        raw = column.cast(pa.large_binary()).to_pylist()
        return Texts([data.decode("utf-8", "surrogateescape") for data in raw])


def _bytes(column: Column) -> Texts:
    """Bytes that are no text are no value: one of a hash, mostly."""
    cells = [
        "" if data is None else data.decode("utf-8", "surrogateescape")
        for data in column.to_pylist()
    ]
    wrong = {
        at: "holds bytes that are no text"
        for at, cell in enumerate(cells)
        if not (cell.isprintable() or cell.translate(_SPACES).isprintable())
    }
    return Texts(cells, wrong)


_SPACES = dict.fromkeys(map(ord, "\t\n\r"))


def _plain(column: Column) -> Texts:
    """What Arrow writes as it is usually written: numbers without a fraction, words."""
    return _strings(column.cast(pa.large_string()))


def _small_bools(column: Column) -> Texts:
    """Extension `arrow.bool8`, stored as integers."""
    return _plain(pc.not_equal(column, 0))


def _uuids(column: Column) -> Texts:
    cells = column.storage.to_pylist()
    return Texts(["" if data is None else str(UUID(bytes=data)) for data in cells])


def _decimals(column: Column) -> Texts:
    """All digits of the scale, never an exponent."""
    cells = _plain(column).cells
    return Texts([_positional(cell) if "E" in cell else cell for cell in cells])


def _positional(text: str) -> str:
    return format(Decimal(text), "f")


def _floats(digits: int) -> TextsOf:
    """Floats of so many binary digits: from there on not every whole number is one."""
    exact = 2**digits
    lost = f"may have lost digits: a number above {exact - 1} in a column of floats"

    def texts(column: Column) -> Texts:
        wide = column.cast(pa.float64())
        whole = pc.and_(pc.equal(pc.trunc(wide), wide), pc.less(pc.abs(wide), 2.0**53))
        if pc.all(whole, skip_nulls=True).as_py() is not False:
            cells = _plain(wide.cast(pa.int64())).cells
        else:
            cells = _some_whole(column, wide, whole)
        finite = pc.is_finite(wide)
        odd = pc.invert(finite)
        large = pc.and_(finite, pc.greater_equal(pc.abs(wide), float(exact)))
        return Texts(
            cells,
            _at(
                odd, "is a number that is none; leave it empty where there is no value"
            ),
            _at(large, lost),
        )

    return texts


def _some_whole(column: Column, wide: Column, whole: Column) -> list[str]:
    """Whole numbers without a point, others with the fewest digits that mean them."""
    ints = pc.if_else(whole, wide, 0.0).cast(pa.int64()).cast(pa.large_string())
    texts = pc.if_else(whole, ints, column.cast(pa.large_string()))
    return [
        _positional(text) if "e" in text else text for text in _strings(texts).cells
    ]


def _at(mask: Column, message: str) -> Mapping[int, str]:
    places = pc.indices_nonzero(mask).to_pylist()
    return dict.fromkeys(places, message) if places else _NONE


_DAY_S = 86_400
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
"""The first of year 1 and the last of year 9999, as days since 1970."""
_A_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_NO_DAY = "is a day outside of the years 1 to 9999"


def _outside(column: Column, first: int, end: int, message: str) -> Mapping[int, str]:
    """Where whole numbers are below the first, or not below the end."""
    whole = column.cast(pa.int64())
    extremes = pc.min_max(whole).as_py()
    if extremes["min"] is None or (extremes["min"] >= first and extremes["max"] < end):
        return _NONE
    return _at(pc.or_(pc.less(whole, first), pc.greater_equal(whole, end)), message)


def _dates(column: Column) -> Texts:
    days = column.cast(pa.date32()).cast(pa.int32())
    wrong = _outside(days, _FIRST_DAY, _LAST_DAY + 1, _NO_DAY)
    return Texts(_plain(column.cast(pa.date32())).cells, wrong)


def _times(column: Column) -> Texts:
    unit = column.type.unit
    whole = column.cast(pa.int32() if unit in {"s", "ms"} else pa.int64())
    wrong = _outside(whole, 0, _DAY_S * _A_SECOND[unit], "is no time of a day")
    return Texts(_trimmed(column.cast(pa.string()), unit), wrong)


def _instants(column: Column, *, has_zone: bool) -> Texts:
    """ISO 8601: in UTC with a Z where there is a zone, else as it stands."""
    unit = column.type.unit
    local = column.cast(pa.int64())
    a_day = _DAY_S * _A_SECOND[unit]
    wrong = (
        _NONE
        if unit == "ns"  # years 1677 to 2262
        else _outside(local, _FIRST_DAY * a_day, (_LAST_DAY + 1) * a_day, _NO_DAY)
    )
    plain = local.cast(pa.timestamp(unit)).cast(pa.string())
    cells = _trimmed(pc.replace_substring(plain, " ", "T", max_replacements=1), unit)
    if has_zone:
        cells = [cell and f"{cell}Z" for cell in cells]
    return Texts(cells, wrong)


def _trimmed(texts: Column, unit: str) -> list[str]:
    """Fractions of seconds without the zeros that follow."""
    if unit != "s":
        texts = pc.utf8_rtrim(pc.utf8_rtrim(texts, "0"), ".")
    return _strings(texts).cells


def _durations(column: Column, a_second: int) -> Texts:
    counts = column.cast(pa.int64()).to_pylist()
    return Texts(["" if one is None else _duration(one, a_second) for one in counts])


def _duration(count: int, a_second: int) -> str:
    """ISO 8601, its days being 24 hours: `P1DT2H0.5S`."""
    seconds, fraction = divmod(abs(count), a_second)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = f"{fraction / a_second:.9f}"[1:].rstrip("0").rstrip(".") if fraction else ""
    clock = "".join(
        f"{amount}{name}" for amount, name in ((hours, "H"), (minutes, "M")) if amount
    )
    if seconds or parts or not (days or clock):
        clock += f"{seconds}{parts}S"
    sign = "-" if count < 0 else ""
    return f"{sign}P{f'{days}D' if days else ''}{f'T{clock}' if clock else ''}"


_BY_TYPE: tuple[tuple[Callable[[Any], bool], TextsOf], ...] = (
    (pa.types.is_string, _strings),
    (pa.types.is_integer, _plain),
    (pa.types.is_boolean, _plain),
    (pa.types.is_null, _plain),
    (pa.types.is_float16, _floats(11)),
    (pa.types.is_float32, _floats(24)),
    (pa.types.is_float64, _floats(53)),
    (pa.types.is_decimal, _decimals),
    (pa.types.is_date, _dates),
    (pa.types.is_time, _times),
)

_OF_EXTENSIONS: Mapping[str, TextsOf] = {
    "arrow.uuid": _uuids,
    "arrow.json": lambda column: _strings(column.storage),
    "arrow.bool8": _small_bools,
}
