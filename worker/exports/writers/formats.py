"""The formats that are written, by their names."""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

from worker.exports.writers import delimited, json_lines
from worker.exports.writers.writer import Format, Target, Writer

DEFAULT_FORMAT = "csv"


DEFAULT_PROFILE = "machine"


PROFILES = tuple(delimited.PROFILES)
"""For whom a CSV is written."""

FOR_SPREADSHEETS = tuple(
    name for name, profile in delimited.PROFILES.items() if profile.only_texts
)
"""The profiles in which values are kept from being taken for something else."""


NULLS = ("empty", "null")
"""What stands where there is nothing; the first is the default."""


def _open_workbook(
    target: Target, headings: Sequence[str]
) -> AbstractContextManager[Writer]:
    from worker.exports.writers import xlsx  # noqa: PLC0415 - for those who ask for it

    return xlsx.open_workbook(target, headings)


def _open_parquet(
    target: Target, headings: Sequence[str], *, nulls: bool
) -> AbstractContextManager[Writer]:
    from worker.exports.writers import parquet  # noqa: PLC0415 - 30 MB that few need

    return parquet.open_parquet(target, headings, nulls=nulls)


# XlsxWriter writes a control character as _x000D_, and _x000D_ as _x005F_x000D_. It
# misses the second of two that share an underscore, and does so twice in a text that
# looks like its own XML; and the two non-characters are told apart by Excel alone.
_ESCAPE = "_x[0-9A-Fa-f]{4}_"


_UNKEPT_IN_XLSX = re.compile(
    rf"[\ufffe\uffff]|{_ESCAPE}x[0-9A-Fa-f]{{4}}_"
    rf"|<r>.*(?:{_ESCAPE}|[\x01-\x08\x0b-\x1f]).*</r>",
    re.DOTALL,
)


_XLSX = Format(
    name="xlsx",
    extension="xlsx",
    media_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    open=_open_workbook,
    columns_max=16_384,
    cell_units_max=32_767,
    unkept=_UNKEPT_IN_XLSX,
)


FORMATS = ("csv", "xlsx", "jsonl", "parquet")
"""The formats that can be asked for."""

WITH_NULLS = ("jsonl", "parquet")
"""Those that can say that nothing is there."""


def format_of(
    name: str,
    profile: str = DEFAULT_PROFILE,
    *,
    literals: AbstractSet[str] = frozenset(),
    nulls: bool = False,
) -> Format:
    """A format by its name.

    Only CSV has profiles, and headings of columns in which those for Excel let no
    value be retyped. With `nulls` JSON Lines and Parquet have null for what is empty.
    """
    match name:
        case "csv":
            return _csv(replace(delimited.PROFILES[profile], literals=literals))
        case "jsonl":
            return Format(
                name="jsonl",
                extension="jsonl",
                media_type="application/x-ndjson",
                open=partial(json_lines.open_lines, nulls=nulls),
                encoded=partial(json_lines.encoded, nulls=nulls),
            )
        case "parquet":
            return Format(
                name="parquet",
                extension="parquet",
                media_type="application/vnd.apache.parquet",
                open=partial(_open_parquet, nulls=nulls),
            )
    return _XLSX


def _csv(profile: delimited.Profile) -> Format:
    return Format(
        name="csv",
        extension="csv",
        # Of RFC 7111 what a browser or a program can do something with.
        media_type="text/csv; charset=utf-8; header=present",
        open=profile.open,
        encoded=profile.encoded,
    )
