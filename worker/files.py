"""The file of an export: its format, its columns, its rows, and its names.

What a client chose is stored with the quote and read back here. A *field* is a
column of the input or something that is found; its *heading* names it in the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pricing.findings import Finding
from pricing.plans import Item
from storage.jobs.chunks import TakenChunk
from worker import writers
from worker.errors import bad
from worker.readers.reading import name_problem
from worker.records import Record
from worker.writers import Format, numbered

_OF_ITEM = {Item.EMAIL: ("email", "email_status"), Item.PHONE: ("phone",)}
_OF_INPUT = "input_"


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
        return numbered.EXTENSION if self.split_records else self.format.extension


def export_of(stored: Mapping[str, Any] | None) -> Export:
    """What was chosen. Raises `BadInput` where no file can look like that."""
    chosen = {name: value for name, value in (stored or {}).items() if value}
    name = chosen.get("format", writers.DEFAULT_FORMAT)
    profile = chosen.get("profile")
    if name not in writers.FORMATS:
        raise bad("export.format", f"is none of {', '.join(writers.FORMATS)}")
    if profile is not None and name != "csv":
        raise bad("export.profile", f"is for csv; {name} has none")
    if profile is None and name == "csv":
        profile = writers.DEFAULT_PROFILE
    if profile is not None and profile not in writers.PROFILES:
        raise bad("export.profile", f"is none of {', '.join(writers.PROFILES)}")
    columns = chosen.get("columns")
    return Export(
        format=writers.format_of(name, profile or writers.DEFAULT_PROFILE),
        profile=profile,
        columns=columns and tuple(_chosen(column) for column in columns),
        split_records=chosen.get("split_records"),
    )


def _chosen(column: Mapping[str, Any]) -> Column:
    field = column["field"]
    return Column(field, column.get("heading") or field)


class Refusal(NamedTuple):
    """A value that the format cannot hold: its field, and why not."""

    field: str
    message: str


class Layout:
    """The columns of one export, and how a record becomes a row of it."""

    def __init__(
        self, export: Export, columns: Sequence[str], retrieve: Sequence[Item]
    ) -> None:
        self._format = export.format
        self._sources = _sources(columns, retrieve)
        every = tuple(Column(field, field) for field in self._sources)
        self.columns = every if export.columns is None else export.columns

    @property
    def headings(self) -> list[str]:
        """The columns' headings, in order."""
        return [column.heading for column in self.columns]

    def check(self) -> None:
        """Raise `BadInput` where no file can have these columns."""
        for field, heading in self.columns:
            if field not in self._sources:
                known = ", ".join(self._sources)
                raise bad("export.columns", f"{field!r} is none of {known}")
            message = name_problem(heading)
            if message is not None:
                raise bad("export.columns", f"the heading of {field} {message}")
        headings = self.headings
        if len(set(headings)) < len(headings):
            twice = next(name for name in headings if headings.count(name) > 1)
            raise bad("export.columns", f"the heading {twice!r} is there twice")
        most = self._format.columns_max
        if most is not None and len(headings) > most:
            message = (
                f"{len(headings):,} are too many; {self._format.name} has {most:,}"
            )
            raise bad("export.columns", message)
        refused = self._format.refusal(headings)
        if refused is not None:
            field = self.columns[refused[0]].field
            raise bad("export.columns", f"the heading of {field[:50]} {refused[1]}")

    def row(self, record: Record, finding: Finding) -> list[str]:
        """One row of the file; `finding` holds only what may be disclosed."""
        found = {
            "email": finding.email,
            "email_status": finding.email_status if finding.email else None,
            "phone": finding.phone,
        }
        row = []
        for field, _ in self.columns:
            column = self._sources[field]
            value = found[field] if column is None else record.text(column)
            row.append(value or "")
        return row

    def refusal(self, row: Sequence[str]) -> Refusal | None:
        """Why a row cannot be in the file; it tells nothing of what was found."""
        refused = self._format.refusal(row)
        if refused is None:
            return None
        place, message = refused
        return Refusal(self.columns[place].field, message)


def _sources(columns: Sequence[str], retrieve: Sequence[Item]) -> dict[str, str | None]:
    """All fields there are, by the column of the input or None for what is found.

    What is paid for keeps its name; a column of the input that has the same one is
    told from it: `email` of the input is `input_email` then.
    """
    found = [name for item in _OF_ITEM if item in retrieve for name in _OF_ITEM[item]]
    taken = {*found, *columns}
    sources: dict[str, str | None] = {}
    for column in columns:
        field = column
        if column in found:
            while field in taken:
                field = _OF_INPUT + field
            taken.add(field)
        sources[field] = column
    return sources | dict.fromkeys(found)


def part_name(chunk: TakenChunk, start: int) -> str:
    """A name that no other run of any worker uses: chunk, attempt and batch."""
    name = f"{start:09d}-{chunk.id}-{chunk.attempt}.jsonl"
    return parts_folder(chunk.job_id) + name


def parts_folder(job_id: str) -> str:
    """Where all parts of a job lie."""
    return f"jobs/{job_id}/parts/"


def file_name(job_id: str, export: Export) -> str:
    """The name that the sealed file carries."""
    return f"{job_id}.{export.extension}"
