"""What pushes have done to a CRM is reconciled too, and its id map with it."""

import io

import pytest
from sqlalchemy import text

from storage.finance.reconciliation.usage_rows import UsageOf
from tests.support.push_runs import contact, run, submit
from worker.finance.reconciliation import reconciliations, runners, usage_match
from worker.finance.reconciliation.usage_match import Vendor
from worker.infrastructure.errors import Refused


def _reconcile(deps):
    ended = runners.run_now(deps, "open", None)
    return reconciliations.show(deps, ended.id, limit=100)


def test_pushes_that_created_changed_and_left_alone_differ_in_nothing(
    house, connection
):
    first = [contact("c1", "p1"), contact("c1", "p2"), contact("c2")]
    run(house, submit(house, connection, first))
    again = [contact("c1", "p1", title="CEO"), contact("c1", "p2"), contact("c2")]
    run(house, submit(house, connection, again))
    shown = _reconcile(house)
    assert shown.differences == []
    assert shown.run.error is None
    assert shown.run.charges == shown.run.recomputed > 0


def test_a_record_that_the_id_map_does_not_know_is_named(house, connection):
    run(house, submit(house, connection, [contact("c1", "p1"), contact("c2")]))
    with house.database.transaction() as connection_:
        connection_.execute(text("UPDATE id_map SET our_id = 'x' WHERE our_id = 'p1'"))
    named = {(one.place, one.row_id) for one in _reconcile(house).differences}
    assert named == {("id_map", "person p1")}


def test_what_the_crm_says_it_was_sent_is_matched_by_its_own_ids(house, connection):
    run(house, submit(house, connection, [contact("c1", "p1"), contact("c2")]))
    with house.database.reading() as connection_:
        rows = connection_.execute(text("SELECT our_id, their_id FROM id_map"))
        theirs = dict(rows.all())
        told_at = connection_.execute(
            text("SELECT min(sent_at) - interval '1 second' FROM id_map")
        ).scalar_one()
    # p1 was written once more, after what the file is about.
    run(house, submit(house, connection, [contact("c1", "p1", title="CEO")]))
    lines = [f"{theirs[one]},2,{told_at}" for one in ("c1", "p1")]
    lines += [f"made-up,1,{told_at}", f"{theirs['p1']},1,9999-01-01T00:00:00Z"]

    def matched(*lines: str, of: str = connection) -> dict[str, str]:
        file = io.BytesIO("\n".join(["record,times,at", *lines]).encode())
        columns = {"id": "record", "amount": "times", "at": "at"}
        vendor = Vendor(UsageOf.RECORD, of)
        found = usage_match.match(house, file, vendor, columns)
        return {one.id: one.state.value for one in found.matches}

    # How often each was written we do not note, so that is no difference.
    assert matched(*(line.replace("9999", "2999") for line in lines)) == {
        theirs["c1"]: "matched",
        theirs["p1"]: "matched",
        theirs["c2"]: "ours_only",
        "made-up": "theirs_only",
    }
    assert matched(*lines[:2]) == dict.fromkeys((theirs["c1"], theirs["p1"]), "matched")
    with pytest.raises(Refused, match="there is no connection other"):
        matched(*lines[:2], of="other")
