"""A push's delivered records against the id map of its CRM."""

from collections.abc import Sequence

from sqlalchemy import Connection

from storage.finance.reconciliation import job_rows
from worker.finance.reconciliation.jobs.kept_records import KeptRecord
from worker.finance.reconciliation.notebook import Notebook

_SENT = ("created", "updated")


class MappedRecords:
    """Looks delivered records up, as long as the connection is there."""

    def __init__(self, connection_id: str, notes: Notebook) -> None:
        self._connection_id = connection_id
        self._notes = notes
        self._is_there: bool | None = None

    def check(
        self,
        connection: Connection,
        records: Sequence[KeptRecord],
        erased: Sequence[str],
    ) -> None:
        """Note whom a push has changed in a CRM without keeping whom.

        One that was taken for delivered, since nobody could be asked, has a code.
        """
        if self._is_there is None:
            connector = job_rows.connector_of(connection, self._connection_id)
            self._is_there = connector is not None
            if not self._is_there:
                why = "the connection is not there any more"
                self._notes.cannot("id_map", why, charges=0)
        if not self._is_there:
            return
        sent = [
            one
            for one in records
            if one.ending.change in _SENT
            and one.ending.code is None
            and one.person_id not in erased
        ]
        keys = {key for one in sent for key in _keys(one)}
        mapped = job_rows.mapped(connection, self._connection_id, keys)
        for one in sent:
            # "Updated" may be said of the company alone.
            wanted = _keys(one)
            if one.ending.change == "created":
                wanted = wanted[:1]
            if mapped.isdisjoint(wanted):
                kind, our_id = wanted[0]
                self._notes.differ(
                    "id_map",
                    f"{kind} {our_id}",
                    expected=f"what the CRM calls it: it was {one.ending.change}",
                    found="none",
                    record=one.number,
                )


def _keys(record: KeptRecord) -> list[tuple[str, str]]:
    company = ("company", record.company_id)
    return (
        [company]
        if record.person_id is None
        else [("person", record.person_id), company]
    )
