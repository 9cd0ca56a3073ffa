"""What erased persons are in the work: an id, for which nothing is found or written."""

from storage.retention import erased_persons
from worker.infrastructure.dependencies import Deps
from worker.quotes.priced_records import PricedRecords
from worker.quotes.readers.records import COMPANY_ID, PERSON_ID


def blocked(deps: Deps, license_id: str, records: PricedRecords) -> set[str]:
    """Which persons of a batch were erased, for this license or for everybody."""
    persons = {person_id for person_id in records.person_ids if person_id}
    if not persons:
        return set()
    with deps.database.reading() as connection:
        return erased_persons.among(connection, license_id, persons)


def ids_alone(fields: dict[str, str]) -> dict[str, str]:
    """What is left of an erased person's record."""
    return {name: fields[name] for name in (COMPANY_ID, PERSON_ID) if name in fields}
