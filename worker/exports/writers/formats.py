"""The formats that are written, by their names."""

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager

from worker.exports.writers import delimited, json_lines
from worker.exports.writers.writer import Format, Target, Writer

DEFAULT_FORMAT = "csv"


DEFAULT_PROFILE = "machine"


PROFILES = tuple(delimited.PROFILES)
"""For whom a CSV is written."""


def _open_workbook(
    target: Target, headings: Sequence[str]
) -> AbstractContextManager[Writer]:
    from worker.exports.writers import xlsx  # noqa: PLC0415 - for those who ask for it

    return xlsx.open_workbook(target, headings)


def _open_parquet(
    target: Target, headings: Sequence[str]
) -> AbstractContextManager[Writer]:
    from worker.exports.writers import parquet  # noqa: PLC0415 - 30 MB that few need

    return parquet.open_parquet(target, headings)


# XlsxWriter writes a control character as _x000D_, and _x000D_ as _x005F_x000D_. It
# misses the second of two that share an underscore, and does so twice in a text that
# looks like its own XML; and the two non-characters are told apart by Excel alone.
_ESCAPE = "_x[0-9A-Fa-f]{4}_"


_UNKEPT_IN_XLSX = re.compile(
    rf"[\ufffe\uffff]|{_ESCAPE}x[0-9A-Fa-f]{{4}}_"
    rf"|<r>.*(?:{_ESCAPE}|[\x01-\x08\x0b-\x1f]).*</r>",
    re.DOTALL,
)


_OTHERS = {
    "xlsx": Format(
        name="xlsx",
        extension="xlsx",
        open=_open_workbook,
        columns_max=16_384,
        cell_units_max=32_767,
        unkept=_UNKEPT_IN_XLSX,
    ),
    "jsonl": Format(
        name="jsonl",
        extension="jsonl",
        open=json_lines.open_lines,
        encoded=json_lines.encoded,
    ),
    "parquet": Format(name="parquet", extension="parquet", open=_open_parquet),
}


FORMATS = ("csv", *_OTHERS)
"""The formats that can be asked for."""


def format_of(name: str, profile: str = DEFAULT_PROFILE) -> Format:
    """A format by its name; only CSV has profiles."""
    if name != "csv":
        return _OTHERS[name]
    chosen = delimited.PROFILES[profile]
    return Format(name="csv", extension="csv", open=chosen.open, encoded=chosen.encoded)
