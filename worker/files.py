"""The file of an export: its columns, its rows, and the names of its parts."""

from collections.abc import Sequence
from typing import Any

from pricing.findings import Finding
from pricing.plans import Item
from storage.chunks import TakenChunk
from worker.records import Record
from worker.writers import Writer
from worker.writers.delimited import Delimited

_WRITERS: dict[str, Writer] = {"csv": Delimited()}

FORMATS = tuple(_WRITERS)
"""The formats that can be asked for."""


def writer_of(export: dict[str, Any] | None) -> Writer:
    """The writer of the format that was asked for."""
    return _WRITERS[(export or {}).get("format", "csv")]


def columns_of(columns: Sequence[str], retrieve: Sequence[Item]) -> list[str]:
    """The columns of the file: the input's, then those of what is retrieved."""
    return [
        *columns,
        *(["email", "email_status"] if Item.EMAIL in retrieve else []),
        *(["phone"] if Item.PHONE in retrieve else []),
    ]


def row_of(
    columns: Sequence[str],
    retrieve: Sequence[Item],
    record: Record,
    finding: Finding,
) -> list[str]:
    """One row of the file; `finding` holds only what may be disclosed."""
    row = [record.text(column) for column in columns]
    if Item.EMAIL in retrieve:
        row += [finding.email, finding.email_status] if finding.email else ["", ""]
    if Item.PHONE in retrieve:
        row.append(finding.phone or "")
    return row


def part_name(chunk: TakenChunk, start: int, extension: str) -> str:
    """A name that no other run of any worker uses: chunk, attempt and batch."""
    name = f"{start:09d}-{chunk.id}-{chunk.attempt}.{extension}"
    return parts_folder(chunk.job_id) + name


def parts_folder(job_id: str) -> str:
    """Where all parts of a job lie."""
    return f"jobs/{job_id}/parts/"


def file_name(job_id: str, extension: str) -> str:
    """The name that the sealed file carries."""
    return f"{job_id}.{extension}"
