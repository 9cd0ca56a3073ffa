"""A job's input: however its records come, no slice is larger than it may be."""

from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st

from pricing.claims import KNOWN, PricedClaim, lookup_digest
from pricing.plans import Item
from storage.files.artifacts import Draft
from worker.quotes.chunk_slices import InputWriter
from worker.quotes.kept_records import from_line
from worker.quotes.priced_records import Claims, PricedRecord, parse
from worker.quotes.readers.record_columns import Records
from worker.quotes.readers.records import Record

PATTERNS: list[Claims] = [(), *((PricedClaim(Item.COMPANY, KNOWN, n),) for n in (0, 1))]


@given(
    st.lists(st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=9), max_size=6),
    st.integers(1, 6),
)
def test_all_records_are_in_slices_in_their_order(blocks, slice_records):
    out = BytesIO()
    writer = InputWriter(Draft(out), slice_records)
    expected, number = [], 0
    for place, claims in enumerate(blocks):
        numbers = range(number + 1, number + 1 + len(claims))
        number = numbers[-1]
        # Each block brings a field that the one before has not.
        field = ("last_name", "title")[place % 2]
        values = [f"{field} of {one}" for one in numbers]
        writer.add(
            Records(
                numbers,
                [f"c{one}" for one in numbers],
                [f"p{one}" if one % 2 else None for one in numbers],
                {field: values},
            ),
            claims,
            PATTERNS,
        )
        for one, value, claim in zip(numbers, values, claims, strict=True):
            person = f"p{one}" if one % 2 else ""
            fields = {"company_id": f"c{one}", "person_id": person, field: value}
            name = value if field == "last_name" else ""
            own = lookup_digest("", name, "") if person else KNOWN
            expected.append(PricedRecord(Record(one, fields), PATTERNS[claim], own))
    writer.flush()
    data, found = out.getvalue(), []
    for cut in writer.slices:
        records = parse(data[cut.first_byte : cut.first_byte + cut.bytes])
        assert len(records) == cut.records <= slice_records
        found += list(records.each())
    assert list(map(_said, found)) == list(map(_said, expected))


def _said(priced: PricedRecord) -> tuple[object, ...]:
    """All that a record says; an empty field says nothing."""
    fields = {name: value for name, value in priced.record.fields.items() if value}
    return priced.record.number, fields, priced.claims, priced.own


def test_an_upload_and_an_input_of_before_say_also_what_persons_are_looked_up_by():
    own = lookup_digest("Ada", "", "")
    ids = f'{{"numbers":[7],"companies":["c"],"persons":["p"],"owns":["{own}"]'
    others = '{"first_name":["Ada"]}'
    kept = from_line(f"{ids}}}\t{others}\n".encode())
    assert kept.records.digests == [own]
    out = BytesIO()
    writer = InputWriter(Draft(out), 1)
    writer.add(kept.records, [2], PATTERNS)
    assert b'"owns"' in out.getvalue()
    (priced,) = parse(out.getvalue()).each()
    assert (priced.record.person_id, priced.claims) == ("p", PATTERNS[2])
    assert priced.own == own
