"""A provider's own list of requests, matched against what it was really asked."""

import io

from sqlalchemy import text

from storage.finance.reconciliation.usage_rows import UsageOf
from worker.finance.reconciliation import usage_match
from worker.finance.reconciliation.usage_match import Match, UsageMatch, Vendor

_COLUMNS = {"id": "request", "amount": "contacts", "at": "received"}


def _matched(house, *lines: str) -> UsageMatch:
    file = io.BytesIO("\n".join(["request,contacts,received", *lines]).encode())
    vendor = Vendor(UsageOf.LOOKUP, "fullenrich")
    return usage_match.match(house.deps, file, vendor, _COLUMNS)


def _told(match: Match) -> tuple[str, object, object]:
    return match.state.value, match.ours, match.theirs


def test_requests_are_matched_missed_on_either_side_or_of_other_numbers(house):
    house.deps = house.another(providers="fullenrich")
    asked = (["p1", "p2"], ["p3", "p4", "p5"], ["p6"], ["p7"])
    for persons in asked:
        house.run(house.submit(persons))
    with house.deps.database.reading() as connection:
        # They note a request when it comes to them, a moment after we wrote it down.
        rows = connection.execute(
            text("""
                SELECT id, vendor_id, created_at + interval '100 milliseconds'
                  FROM lookups ORDER BY created_at""")
        ).all()
    same, other, ours, last = rows
    found = _matched(
        house,
        f"{same.vendor_id},2,{same[2]}",
        f"{other.vendor_id},4,{other[2]}",
        f"made-up,9,{other[2]}",
        f"{last.id},1,{last[2]}",
    )
    assert {one.id: _told(one) for one in found.matches} == {
        same.vendor_id: ("matched", 2, 2),
        other.vendor_id: ("different_amount", 3, 4),
        ours.id: ("ours_only", 1, None),
        "made-up": ("theirs_only", None, 9),
        last.id: ("matched", 1, 1),
    }
    # A file of one of them alone does not miss the others.
    alone = _matched(house, f"{other.vendor_id},3,{other[2]}")
    assert [_told(one) for one in alone.matches] == [("matched", 3, 3)]
