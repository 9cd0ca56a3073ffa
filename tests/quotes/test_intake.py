"""Taking rows in: the first of each counts, and no quote depends on how they came."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.claims import AskedColumns
from pricing.plans import Item, PaymentTerm, Plan, terms_of
from pricing.quote import Quote, Tally
from worker.infrastructure.errors import Code, Refused
from worker.quotes.intake import Intake, taken_in
from worker.quotes.kept_records import KeptRecords, from_line, to_line
from worker.quotes.readers.record_columns import Rows, gathered
from worker.quotes.readers.records import Record
from worker.quotes.readers.table import Noticed

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MANY = 1_000_000

Pair = tuple[str, str]
pairs = st.tuples(st.sampled_from("abcd"), st.sampled_from(["", "p", "q", "r"]))
names = st.sampled_from(["", "Ada", "Ben"])


def _record(number: int, pair: Pair, name: str = "") -> Record:
    fields = {"company_id": pair[0], "person_id": pair[1], "first_name": name}
    return Record(number, fields)


def _blocks(records: Sequence[Record], size: int) -> Iterator[Rows]:
    for first in range(0, len(records), size):
        yield gathered(
            (record.number, record) for record in records[first : first + size]
        )


def _first_ones(records: Sequence[Record]) -> dict[Pair, int]:
    found: dict[Pair, int] = {}
    for record in records:
        pair = (record.company_id, record.person_id or "")
        found.setdefault(pair, record.number)
    return found


@given(st.lists(pairs, max_size=24), st.integers(1, 5))
def test_the_first_of_the_same_company_and_person_counts(given_, size):
    records = [_record(number, pair) for number, pair in enumerate(given_, start=1)]
    with taken_in(_blocks(records, size), MANY, skip_bad=False) as intake:
        numbers = [one for kept in intake.blocks() for one in kept.records.numbers]
        first = _first_ones(records)
        assert numbers == list(first.values())
        assert intake.records == len(first)
        assert intake.duplicates == len(records) - len(first)
        assert intake.companies == len({company for company, _ in first})
        assert intake.persons == len({person for _, person in first if person})


@given(st.lists(st.tuples(pairs, names), max_size=24), st.integers(1, 5))
def test_what_is_told_to_recur_is_all_that_a_quote_has_to_hold(given_, size):
    records = [_record(number, *one) for number, one in enumerate(given_, start=1)]
    with taken_in(_blocks(records, size), MANY, skip_bad=False) as intake:
        kept = list(intake.blocks())
    kept_as_lines = [from_line(to_line(one)) for one in kept]
    assert _quote(kept, held=False) == _quote(kept, held=True)
    assert _quote(kept_as_lines, held=False) == _quote(kept, held=True)


def _quote(blocks: Sequence[KeptRecords], *, held: bool) -> tuple[Quote, list[object]]:
    tally = Tally(
        terms=terms_of(Plan.V2, PaymentTerm.MONTHLY),
        quoted_at=NOON,
        retrieve=(Item.EMAIL,),
        available=9,
    )
    claims: list[object] = []
    for records, recurring in blocks:
        asked = AskedColumns.by_digests(
            records.numbers, records.company_ids, records.person_ids, records.digests
        )
        places = tally.price_all(asked, {}, recurring=None if held else recurring)
        claims += [tally.patterns[place] for place in places]
    return tally.quote(), claims


def test_what_comes_once_is_not_said_to_recur():
    pairs_ = [(f"company-{number // 4}", f"person-{number}") for number in range(40)]
    records = [_record(number, pair) for number, pair in enumerate(pairs_, start=1)]
    with taken_in(_blocks(records, 6), MANY, skip_bad=False) as intake:
        assert not any(any(kept.recurring) for kept in intake.blocks())


def test_an_intake_needs_no_rows():
    with taken_in([], MANY, skip_bad=False) as intake:
        assert isinstance(intake, Intake)
        assert (intake.records, list(intake.lines())) == (0, [])


@given(st.lists(st.tuples(pairs, names), max_size=24), st.integers(1, 5))
def test_duplicates_that_say_something_else_are_counted_apart(given_, size):
    records = [_record(number, *one) for number, one in enumerate(given_, start=1)]
    noticed = Noticed(format="csv")
    blocks = _blocks(records, size)
    with taken_in(blocks, MANY, skip_bad=False, noticed=noticed) as intake:
        list(intake.blocks())
    said = {record.number: record.text("first_name") for record in records}
    first = _first_ones(records)
    differing = [
        record.number
        for record in records
        if said[first[record.company_id, record.person_id or ""]] != said[record.number]
    ]
    assert noticed.duplicates_differing == len(differing)
    assert noticed.differing == differing[:20]


def _spoiled(*ids: str) -> list[tuple[int | str, ...]]:
    """What is told of ids, as a company's and as a person's."""
    records = [_record(number, (one, one)) for number, one in enumerate(ids, start=1)]
    noticed = Noticed(format="csv")
    with taken_in(_blocks(records, 2), MANY, skip_bad=False, noticed=noticed):
        pass
    assert noticed.spoiled_total >= len(noticed.spoiled)
    return [tuple(one.values()) for one in noticed.spoiled]


@pytest.mark.parametrize(
    "spoiled",
    [
        *("1.23E+15", "1,23E+15", "4e+21", "1001.0", "1001.00", "#N/A", "#REF!"),
        *("3-Jan", "Jan-24", "12-mar-2024", "3/1/2024", "2024-03-01"),
        *("2024-03-01 00:00:00", "1234567890123450", "123456789012345000"),
    ],
)
def test_ids_that_a_spreadsheet_has_spoiled_are_told(spoiled):
    assert _spoiled("acme", "1", spoiled, "x-1.0") == [
        (3, "company_id", spoiled),
        (3, "person_id", spoiled),
    ]


def test_ids_as_they_are_given_are_not_told():
    fine = ["1E3", "7e12", "1001", "1.0.0", "jan-24-x", "0x1", "a#N/A", "01-02"]
    assert _spoiled(*fine, "2024-03-01T10:00", "3f2504e0-4f89-11d3") == []


def test_long_ids_of_which_one_does_not_end_in_zeros_were_never_retyped():
    assert _spoiled("1234567890123450", "1234567890123451", "1234567890123460") == []


def test_no_more_is_told_of_spoiled_ids_than_their_number_and_the_first():
    noticed = Noticed(format="csv")
    records = [_record(number, (f"{number}.0", "")) for number in range(1, 51)]
    with taken_in(_blocks(records, 9), MANY, skip_bad=False, noticed=noticed):
        pass
    assert noticed.spoiled_total == 50
    assert [one["record"] for one in noticed.spoiled] == [*range(1, 21)]


def test_records_that_take_more_than_the_disk_may_hold_are_refused_as_they_come():
    records = [_record(number, ("a", f"p{number}")) for number in range(1, 1_000)]
    read = 0

    def blocks() -> Iterator[Rows]:
        nonlocal read
        for rows in _blocks(records, 10):
            read += len(rows)
            yield rows

    with (
        pytest.raises(Refused) as refused,
        taken_in(blocks(), MANY, skip_bad=False, bytes_max=5_000),
    ):
        pass
    assert refused.value.code is Code.TOO_LARGE
    assert read < 300
