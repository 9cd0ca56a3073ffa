"""What erased persons are in the work: an id, for which nothing is found or written."""

from collections.abc import Sequence

from storage.retention import erased_persons
from worker.infrastructure.dependencies import Deps
from worker.quotes.priced_records import PricedRecord
from worker.quotes.readers.records import COMPANY_ID, PERSON_ID


def blocked(deps: Deps, license_id: str, records: Sequence[PricedRecord]) -> set[str]:
    """Which persons of a batch were erased, for this license or for everybody."""
    asked = (priced.record.person_id for priced in records)
    persons = {person_id for person_id in asked if person_id}
    if not persons:
        return set()
    with deps.database.transaction() as connection:
        return erased_persons.among(connection, license_id, persons)


def ids_alone(fields: dict[str, str]) -> dict[str, str]:
    """What is left of an erased person's record."""
    return {name: fields[name] for name in (COMPANY_ID, PERSON_ID) if name in fields}


def without(records: list[PricedRecord], persons: set[str]) -> list[PricedRecord]:
    """The records, with the ids alone where they tell of one of these persons."""
    if not persons:
        return records
    return [
        priced._replace(
            record=priced.record._replace(fields=ids_alone(priced.record.fields))
        )
        if priced.record.person_id in persons
        else priced
        for priced in records
    ]
