"""A job's sealed file against what was written down of its records."""

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

import pyarrow as pa  # type: ignore[import-untyped]

from pricing.plans import Item
from storage.files.artifacts import Artifacts
from storage.finance.reconciliation.job_rows import JobRow
from worker.exports.export_options import Export, export_of
from worker.exports.file_layout import Layout
from worker.exports.manifest import manifest_at
from worker.exports.writers.formats import FOR_SPREADSHEETS
from worker.finance.reconciliation.jobs.job_sums import items_asked
from worker.finance.reconciliation.jobs.kept_records import KeptRecord
from worker.finance.reconciliation.jobs.sealed_rows import Row, SealedCopy
from worker.finance.reconciliation.notebook import Notebook
from worker.spreadsheets.cell_texts import restored

_DELIMITERS = {"excel_eu": ";"}
_UNREADABLE = (ValueError, OSError, BadZipFile, ParseError, KeyError, pa.ArrowException)


class SealedCheck:
    """Takes a job's delivered records in their order, beside its file's rows."""

    def __init__(self, row: JobRow, copy: SealedCopy, notes: Notebook) -> None:
        self._notes = notes
        export = export_of(row.quote["export"])
        self._layout = Layout(export, row.quote["columns"], items_asked(row))
        fields = [column.field for column in self._layout.columns]
        self._places = {
            field: place
            for place, field in enumerate(fields)
            if field in ("company_id", "person_id", "email", "phone")
        }
        self._is_for_spreadsheets = export.profile in FOR_SPREADSHEETS
        self._job_id = row.job_id
        self._rows = self._read(copy, export)
        self._is_lost = False
        notes.same("jobs.file_bytes", row.job_id, copy.bytes, row.job["file_bytes"])
        notes.same("jobs.file_sha256", row.job_id, copy.sha256, row.job["file_sha256"])

    def _read(self, copy: SealedCopy, export: Export) -> Iterator[Row]:
        delimiter = _DELIMITERS.get(export.profile or "", ",")
        try:
            yield from copy.rows(export.extension, delimiter)
        except _UNREADABLE as error:
            self._lose("a file that can be read", str(error))

    def _lose(self, expected: str, found: str, record: int | None = None) -> None:
        """Note what is wrong, once: behind it no row is where it is expected."""
        if not self._is_lost:
            self._notes.differ(
                "file", self._job_id, expected=expected, found=found, record=record
            )
        self._is_lost = True

    def delivered(self, record: KeptRecord) -> Mapping[str, str]:
        """The cells of a record's row that matter; none once the rows are lost."""
        if self._is_lost:
            return {}
        row = next(self._rows, None)
        if row is None:
            self._lose("a row of the record", "the file's end", record.number)
            return {}
        if len(row) != len(self._layout.columns):
            expected = f"{len(self._layout.columns)} columns"
            self._lose(expected, f"{len(row)} cells", record.number)
            return {}
        cells = {
            field: self._text_of(row[place] or "")
            for field, place in self._places.items()
        }
        ids = {"company_id": record.company_id, "person_id": record.person_id or ""}
        for field, id_ in ids.items():
            # As it stands there too: files of before have nothing before an
            # apostrophe that is the id's own.
            if field in cells and id_ not in (cells[field], row[self._places[field]]):
                self._lose(f"{field} {id_}", cells[field], record.number)
                return {}
        self._check_found(record, cells)
        return cells

    def _text_of(self, cell: str) -> str:
        return restored(cell) if self._is_for_spreadsheets else cell

    def _check_found(self, record: KeptRecord, cells: Mapping[str, str]) -> None:
        ending = record.ending
        flags = {Item.EMAIL: ending.email_found, Item.PHONE: ending.phone_found}
        for item, is_found in flags.items():
            if item.value in cells and item in self._layout.held:
                told = "found" if is_found else "not found"
                if bool(cells[item.value]) is not is_found:
                    self._notes.differ(
                        f"file.{item.value}",
                        self._job_id,
                        expected=told,
                        found="found" if cells[item.value] else "not found",
                        record=record.number,
                    )

    def end(self) -> None:
        """Note rows that no record is behind."""
        if not self._is_lost and next(self._rows, None) is not None:
            self._lose("the file's end", "more rows than were delivered")


def check_manifest(artifacts: Artifacts, row: JobRow, notes: Notebook) -> None:
    """Note where the manifest beside the file says something else than the rows."""
    told: dict[str, Any] = manifest_at(artifacts, row.job_id)
    quote, chunked = row.quote, row.chunked
    chosen = quote["export"] or {}
    export = export_of(chosen)
    layout = Layout(export, quote["columns"], items_asked(row))
    rows = {
        "format": export.format.name,
        "profile": export.profile,
        "columns": [column._asdict() for column in layout.columns],
        "license": row.license_id,
        "user": quote["user_id"],
        "credits": {
            "reserved": row.amount,
            "settled": row.settled,
            "released": row.amount - row.settled,
        },
        "filters": {
            "retrieve": quote["retrieve"],
            "email_level": quote["email_level"],
            "only_with": quote["only_with"],
            "contacts_per_company": chosen.get("contacts_per_company"),
            "skip_exported": bool(chosen.get("skip_exported")),
        },
        "found": {"email": chunked["email"], "phone": chunked["phone"]},
    }
    for name, value in rows.items():
        notes.same(f"manifest.{name}", row.job_id, told.get(name), value)
