"""What a client chose of an export: its format, its columns, how it is cut.

It is stored with the quote and read back here. A *field* is a column of the input or
something that is found; its *heading* names it in the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from worker.exports.writers import formats, numbered_files
from worker.exports.writers.writer import Format
from worker.infrastructure.errors import bad

LOOK = ("format", "profile", "columns", "split_records", "text_columns", "nulls")
"""What of an export says how its file looks; all else says which records are in it."""


TEXT_FIELDS = ("company_id", "person_id", "phone", "input_phone")
"""What spreadsheets must not retype unless a client says otherwise: ids and phones."""

OF_FORMAT = {
    "profile": ("csv",),
    "text_columns": ("csv",),
    "nulls": formats.WITH_NULLS,
}
"""Options that not every format has, and those that have it."""


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
    text_columns: tuple[str, ...] = ()
    """The fields that a client named as those that no spreadsheet may retype."""

    @property
    def extension(self) -> str:
        """What the file's name ends with."""
        return numbered_files.EXTENSION if self.split_records else self.format.extension


def export_of(stored: Mapping[str, Any] | None) -> Export:
    """What was chosen. Raises `BadInput` where no file can look like that."""
    said = stored or {}
    chosen = {name: value for name, value in said.items() if value}
    name = chosen.get("format", formats.DEFAULT_FORMAT)
    if name not in formats.FORMATS:
        raise bad("export.format", f"is none of {', '.join(formats.FORMATS)}")
    profile = _profile(name, chosen.get("profile"))
    columns = chosen.get("columns")
    picked = columns and tuple(_chosen(column) for column in columns)
    texts = _text_columns(name, profile, said.get("text_columns"))
    return Export(
        format=formats.format_of(
            name,
            profile or formats.DEFAULT_PROFILE,
            literals=_headings(picked, TEXT_FIELDS if texts is None else texts),
            nulls=_has_nulls(name, chosen.get("nulls")),
        ),
        profile=profile,
        columns=picked,
        split_records=chosen.get("split_records"),
        text_columns=texts or (),
    )


def _profile(name: str, profile: str | None) -> str | None:
    if profile is not None and name != "csv":
        raise bad("export.profile", f"is for csv; {name} has none")
    if profile is None and name == "csv":
        return formats.DEFAULT_PROFILE
    if profile is not None and profile not in formats.PROFILES:
        raise bad("export.profile", f"is none of {', '.join(formats.PROFILES)}")
    return profile


def _text_columns(
    name: str, profile: str | None, fields: Sequence[str] | None
) -> tuple[str, ...] | None:
    """The fields that were named; None where nobody said any."""
    if fields is None:
        return None
    if profile not in formats.FOR_SPREADSHEETS:
        look = f"the profile {profile}" if name == "csv" else name
        message = (
            f"is for a csv of the profile {' or '.join(formats.FOR_SPREADSHEETS)}; "
            f"in {look} every value is a text as it is: leave it out"
        )
        raise bad("export.text_columns", message)
    return tuple(fields)


def _headings(
    columns: Sequence[Column] | None, fields: Sequence[str]
) -> frozenset[str]:
    """The headings that some fields have; without a choice it is their name."""
    if columns is None:
        return frozenset(fields)
    return frozenset(heading for field, heading in columns if field in fields)


def _has_nulls(name: str, nulls: str | None) -> bool:
    if nulls is not None and nulls not in formats.NULLS:
        raise bad("export.nulls", f"is none of {', '.join(formats.NULLS)}")
    if nulls != "null":
        return False
    if name not in formats.WITH_NULLS:
        message = (
            f"null is for {' and '.join(formats.WITH_NULLS)}; {name} has none: "
            "leave it out, what is not there is empty"
        )
        raise bad("export.nulls", message)
    return True


def _chosen(column: Mapping[str, Any]) -> Column:
    field = column["field"]
    return Column(field, column.get("heading") or field)
