"""What pushes have done to a CRM is reconciled too, and its id map with it."""

from sqlalchemy import text

from tests.support.push_runs import contact, run, submit
from worker.finance.reconciliation import reconciliations, runners


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
