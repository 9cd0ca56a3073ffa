"""Pricing records in tests, one by one or in batches, as quotes do it."""

from collections import Counter
from collections.abc import Iterator, Sequence

from pricing.claims import Asked, AskedColumns, Entitlements, PricedClaim
from pricing.quote import Recurring, Tally

Claims = tuple[PricedClaim, ...]


def price(
    tally: Tally, number: int, asked: Asked, digest: str, paid: Entitlements
) -> Claims:
    """The claims of one record, after which any id may come again."""
    columns = AskedColumns.by_digests(
        (number,), (asked.company_id,), (asked.person_id,), (digest,)
    )
    return tally.patterns[tally.price_all(columns, paid)[0]]


def price_all(
    tally: Tally,
    records: Sequence[Asked],
    paid: Entitlements,
    batch_records: int | None = None,
) -> list[Claims]:
    """The claims of each record, none for a duplicate.

    In batches, each with the ids that recur; without `batch_records` every id is held.
    """
    new = dict(enumerate(records, start=1))
    seen = set()
    for number, asked in enumerate(records, start=1):
        key = (asked.company_id, asked.person_id)
        if key in seen:
            tally.duplicates += 1
            del new[number]
        seen.add(key)
    found: list[Claims] = [()] * len(records)
    for columns, recurring in _batches(new, batch_records or len(records) or 1):
        held = recurring if batch_records else None
        places = tally.price_all(columns, paid, recurring=held)
        for number, place in zip(columns.numbers, places, strict=True):
            found[number - 1] = tally.patterns[place]
    return found


def _batches(
    records: dict[int, Asked], batch_records: int
) -> Iterator[tuple[AskedColumns, Recurring]]:
    """Batches with the ids that come again, as narrowly as they may be told."""
    numbers = list(records)
    parts = [
        numbers[first : first + batch_records]
        for first in range(0, len(numbers), batch_records)
    ]
    companies = [{records[number].company_id for number in part} for part in parts]
    persons = Counter(one.person_id for one in records.values() if one.person_id)
    for place, part in enumerate(parts):
        elsewhere = [*companies[: max(place - 1, 0)], *companies[place + 2 :]]
        batch = [records[number] for number in part]
        yield (
            AskedColumns.by_digests(
                part,
                [one.company_id for one in batch],
                [one.person_id for one in batch],
                [one.digest for one in batch],
            ),
            Recurring(
                companies[place].intersection(set().union(*elsewhere)),
                {
                    one.person_id
                    for one in batch
                    if one.person_id and persons[one.person_id] > 1
                },
            ),
        )
