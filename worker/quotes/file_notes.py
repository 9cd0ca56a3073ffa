"""What is told of a file that records came in, as uploads and quotes keep it."""

from dataclasses import asdict
from typing import Any

from worker.quotes.readers.reader import Reading
from worker.quotes.readers.records import COMPANY_ID, PERSON_ID


def notes_of(reading: Reading) -> dict[str, Any] | None:
    """What a file was taken for, once all of it was read; None where there was none.

    `read` is what its reader noticed, `taken` our field for each column that was taken
    for it by a like name, `derived` of how many records an id was derived, duplicates
    included, and by which version of the Public Suffix List.
    """
    if reading.noticed is None:
        return None
    read = asdict(reading.noticed)
    return {
        # As it is read back from where it is kept, where there are no tuples.
        "read": {name: _listed(value) for name, value in read.items()},
        "taken": dict(reading.taken),
        "derived": {
            "companies": reading.derived.get(COMPANY_ID, 0),
            "persons": reading.derived.get(PERSON_ID, 0),
            "public_suffix_list": reading.suffix_list,
        },
    }


def _listed(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
