"""A transaction left open holds closing and sealing back, and whose it is is said."""

from contextlib import closing

import psycopg
import pytest
from sqlalchemy import make_url

from pricing.plans import PaymentTerm
from storage.finance.chain import held_back
from storage.operations.action_log import Acting, Actor
from tests.support import job_runs
from tests.support.business_time import DAY_S, shift_to
from worker.finance.chain import sealing_chore
from worker.finance.chain.sealing_chore import SealingChore
from worker.finance.statements import period_close, statements
from worker.infrastructure.errors import Code, Refused


def test_whoever_holds_closing_back_is_named_also_where_it_is_of_another_database(
    database_url, server, tmp_path, caplog, monkeypatch
):
    deps = job_runs.wire_to(database_url, tmp_path)
    job_runs.create_license(deps, term=PaymentTerm.MONTHLY)
    month = statements.show(deps, "acme").statement.starts_at
    shift_to(deps.database, 32 * DAY_S)
    monkeypatch.setattr(sealing_chore, "_LONG_S", 0.0)
    url = make_url(server).set(drivername="postgresql")
    address = url.render_as_string(hide_password=False)
    with (
        closing(deps.database),
        psycopg.connect(address, application_name="a forgotten one") as other,
    ):
        other.execute("SELECT pg_current_xact_id()")
        pid = other.info.backend_pid
        by = Acting(Actor("ann", "a test"), "the month is over")
        with pytest.raises(Refused) as refused:
            period_close.close(deps, "acme", f"{month:%Y-%m}", by)
        chore = SealingChore(deps)
        chore.turn()
        chore.wait(60)
        with deps.database.reading() as connection:
            oldest = held_back.oldest(connection)
    assert refused.value.code is Code.UNAVAILABLE
    assert oldest is not None
    assert oldest.pid == pid
    named = f"pid {pid} (database {url.database}, user "
    for told in (refused.value.detail, str(oldest), *caplog.messages):
        assert named in told
        assert ", a forgotten one, idle in transaction), open for " in told
    assert [one.partition(" pid ")[0] for one in caplog.messages] == [
        "the statement of period 1 waits for",
        "sealing and closing wait for",
    ]
