"""Which records an export leaves out from the start, before anything is priced.

What is left out is excluded and costs nothing, so the quote has to know of it. Both
filters look at the records in their order: a contact that was exported before takes
no place among a company's contacts.
"""

from collections.abc import Mapping
from typing import Any

from storage.database import Database
from storage.jobs import outcomes
from worker.quotes.readers.record_columns import Records


class RecordFilters:
    """The filters of one export, over all its records; they must not be duplicates."""

    def __init__(
        self, database: Database, license_id: str, export: Mapping[str, Any] | None
    ) -> None:
        chosen = export or {}
        self._database = database
        self._license_id = license_id
        self._skip_exported = bool(chosen.get("skip_exported"))
        self._contacts_max: int | None = chosen.get("contacts_per_company")
        self._contacts: dict[str, int] = {}

    def left_out(self, batch: Records) -> frozenset[int]:
        """The numbers of the records that the export does without."""
        left_out: set[int] = set()
        if self._skip_exported:
            left_out |= self._exported(batch)
        if self._contacts_max is not None:
            left_out |= self._surplus(batch, left_out, self._contacts_max)
        return frozenset(left_out)

    def _exported(self, batch: Records) -> set[int]:
        asked = list(
            zip(batch.numbers, batch.company_ids, batch.person_ids, strict=True)
        )
        with self._database.transaction() as connection:
            return outcomes.delivered_before(connection, self._license_id, asked)

    def _surplus(self, batch: Records, gone: set[int], contacts_max: int) -> set[int]:
        surplus = set()
        for number, company_id, person_id in zip(
            batch.numbers, batch.company_ids, batch.person_ids, strict=True
        ):
            if person_id is None or number in gone:
                continue
            count = self._contacts.get(company_id, 0)
            if count >= contacts_max:
                surplus.add(number)
            else:
                self._contacts[company_id] = count + 1
        return surplus
