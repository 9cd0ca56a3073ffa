"""What a client chose of an export: its format, its columns, how it is cut.

It is stored with the quote and read back here. A *field* is a column of the input or
something that is found; its *heading* names it in the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from worker.exports.writers import formats, numbered_files
from worker.exports.writers.writer import Format
from worker.infrastructure.errors import bad

LOOK = ("format", "profile", "columns", "split_records")
"""What of an export says how its file looks; all else says which records are in it."""


class Column(NamedTuple):
    """A column of the file."""

    field: str
    heading: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What a file is to look like; `columns` are None for all that there are."""

    format: Format
    profile: str | None = None
    columns: tuple[Column, ...] | None = None
    split_records: int | None = None

    @property
    def extension(self) -> str:
        """What the file's name ends with."""
        return numbered_files.EXTENSION if self.split_records else self.format.extension


def export_of(stored: Mapping[str, Any] | None) -> Export:
    """What was chosen. Raises `BadInput` where no file can look like that."""
    chosen = {name: value for name, value in (stored or {}).items() if value}
    name = chosen.get("format", formats.DEFAULT_FORMAT)
    profile = chosen.get("profile")
    if name not in formats.FORMATS:
        raise bad("export.format", f"is none of {', '.join(formats.FORMATS)}")
    if profile is not None and name != "csv":
        raise bad("export.profile", f"is for csv; {name} has none")
    if profile is None and name == "csv":
        profile = formats.DEFAULT_PROFILE
    if profile is not None and profile not in formats.PROFILES:
        raise bad("export.profile", f"is none of {', '.join(formats.PROFILES)}")
    columns = chosen.get("columns")
    return Export(
        format=formats.format_of(name, profile or formats.DEFAULT_PROFILE),
        profile=profile,
        columns=columns and tuple(_chosen(column) for column in columns),
        split_records=chosen.get("split_records"),
    )


def _chosen(column: Mapping[str, Any]) -> Column:
    field = column["field"]
    return Column(field, column.get("heading") or field)
