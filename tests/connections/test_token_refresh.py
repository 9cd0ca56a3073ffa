"""Tokens kept alive by one worker at a time, and connections mended."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from storage.connections import token_refresh
from storage.licenses import notifications
from tests.connections.oauth_app import app_at, complete, consent, wish_for
from tests.support import job_runs
from tests.support.push_runs import Killed, contact, counts, push, run, run_once, submit
from worker.connections import connections, oauth_client
from worker.connections.connectors.connector import Reply
from worker.connections.connectors.errors import Unauthorized, Unavailable
from worker.connections.crm_http import CrmHttp
from worker.infrastructure.errors import OutboundError
from worker.jobs import job_control
from worker.wiring import Wired


@pytest.fixture
def app(sandbox):
    return app_at(sandbox, "hubspot")


@pytest.fixture
def house(wired, app):
    deps: Wired = wired(**app)
    job_runs.create_license(deps, credits_granted=100_000)
    return deps


@pytest.fixture
def connection(house, sandbox):
    return complete(house, consent(house, wish_for())).connection.id


def _expire(house, sandbox, connection):
    """Let the access token end, and no worker know it beforehand."""
    sandbox.behave("hubspot", token_s=0.01)
    with ThreadPoolExecutor(1):
        opened = house.crms.open(connections.get(house, connection), lambda: None)
        opened.tokens.renewed(opened.tokens.secrets["access_token"])
    secrets = opened.tokens.secrets
    secrets.pop("expires_at_s")
    with house.database.transaction() as connection_:
        connection_.execute(
            text("UPDATE connections SET secrets = :s"),
            {"s": house.crms.seal(secrets)},
        )
    sandbox.behave("hubspot")
    return secrets["access_token"]


def _told(house):
    with house.database.transaction() as connection:
        return notifications.of_license(connection, "acme", before=None, limit=9)


def test_a_token_is_renewed_before_its_end(house, sandbox, connection):
    sandbox.behave("hubspot", token_s=30)
    before = sandbox.tally("hubspot")["refreshes"]
    made = connections.get(house, connection)
    opened = house.crms.open(made, lambda: None)
    opened.tokens.renewed(opened.tokens.secrets["access_token"])
    assert house.crms.open(made, lambda: None).tokens.current()
    assert sandbox.tally("hubspot")["refreshes"] == before + 2


def test_eight_workers_with_an_expired_token_make_exactly_one_refresh(
    wired, house, sandbox, connection, app
):
    _expire(house, sandbox, connection)
    workers = [wired(**app) for _ in range(8)]
    before = sandbox.tally("hubspot")["refreshes"]
    sandbox.behave("hubspot", latency_ms=50)
    job_ids = [submit(house, connection, [contact(f"c{n}", f"p{n}")]) for n in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(run, workers, job_ids))
    told = sandbox.tally("hubspot")
    assert (told["refreshes"] - before, told["reused"]) == (1, 0)
    assert (told["contacts"], told["companies"]) == (8, 8)
    for job_id in job_ids:
        assert job_runs.report(house, job_id).state == "succeeded"


def test_who_waits_for_somebody_elses_token_holds_on_to_its_chunk(house, connection):
    def beat() -> None:
        raise Killed

    made = connections.get(house, connection)
    tokens = house.crms.open(made, beat).tokens
    with house.database.transaction() as connection_:
        token_refresh.begin_refresh(connection_, connection, tokens.version, lease_s=9)
    with pytest.raises(Killed):
        tokens.renewed(tokens.secrets["access_token"])


def test_a_pair_whose_answer_was_lost_is_what_only_a_reconnect_mends(
    house, sandbox, connection
):
    used = _expire(house, sandbox, connection)
    tokens = house.crms.open(connections.get(house, connection), lambda: None).tokens
    sandbox.behave("hubspot", fault="cut")
    with pytest.raises(Unavailable):
        tokens.renewed(used)
    with pytest.raises(Unauthorized):
        tokens.renewed(used)
    assert sandbox.tally("hubspot")["reused"] == 1


def test_the_new_pair_is_stored_before_it_is_used(house, sandbox, connection):
    _expire(house, sandbox, connection)
    seen = []
    tokens = house.crms.open(connections.get(house, connection), lambda: None).tokens
    used = tokens.secrets["access_token"]
    fresh = tokens.renewed(used)
    other = house.crms.open(connections.get(house, connection), lambda: None).tokens
    seen.append(other.secrets["access_token"])
    assert seen == [fresh]
    assert fresh != used


def test_a_database_that_is_gone_for_a_moment_costs_no_grant(
    house, sandbox, connection, monkeypatch
):
    _expire(house, sandbox, connection)
    keep, gone = token_refresh.keep_refreshed, [OperationalError("x", {}, Exception())]

    def failing(*given, **how):
        if gone:
            raise gone.pop()
        keep(*given, **how)

    monkeypatch.setattr(token_refresh, "keep_refreshed", failing)
    assert counts(push(house, connection, [contact("c1", "p1")])) == {"created": 1}
    assert (gone, sandbox.tally("hubspot")["reused"]) == ([], 0)


def test_a_grant_that_is_over_parks_the_job_tells_its_user_and_goes_on_after_consent(
    house, sandbox, connection
):
    _expire(house, sandbox, connection)
    sandbox.behave("hubspot", fault="invalid_grant", times=99)
    report = push(house, connection, [contact("c1", "p1")])
    assert (report.state, report.waiting_reason) == ("paused", "needs_reconnect")
    assert connections.get(house, connection).state == "needs_reconnect"
    (told,) = _told(house)
    assert (told.user_id, told.code) == ("user-1", "job_parked")
    assert "goes on when somebody reconnects" in told.message
    sandbox.behave("hubspot")
    complete(house, consent(house, wish_for(connection_id=connection)))
    assert connections.get(house, connection).state == "active"
    assert counts(run(house, report.id)) == {"created": 1}


def test_a_loser_of_a_refresh_does_not_declare_the_winners_grant_dead(
    wired, house, sandbox, connection, app, monkeypatch
):
    """A worker was frozen with the lease on it, and its pair came back late."""
    used = _expire(house, sandbox, connection)
    made = connections.get(house, connection)
    frozen = house.crms.open(made, lambda: None).tokens
    late = wired(**app).crms.open(made, lambda: None).tokens
    refresh = oauth_client.refresh

    def overtaken(*given):
        grant = refresh(*given)
        with house.database.transaction() as connection_:
            connection_.execute(
                text("UPDATE connections SET refreshing_until = now() - interval '1 s'")
            )
        monkeypatch.undo()
        with pytest.raises(Unauthorized):
            late.renewed(used)
        return grant

    monkeypatch.setattr("worker.connections.oauth_client.refresh", overtaken)
    fresh = frozen.renewed(used)
    assert sandbox.tally("hubspot")["reused"] == 1
    assert late.renewed(used) == fresh
    assert connections.test(house, connection).ok


def test_a_token_endpoint_that_does_not_answer_loses_no_grant(
    house, sandbox, connection, monkeypatch
):
    _expire(house, sandbox, connection)

    def silent(*_):
        raise OutboundError("no answer")

    monkeypatch.setattr("worker.connections.oauth_client.refresh", silent)
    job_id = submit(house, connection, [contact("c1", "p1")])
    run_once(house, job_id)
    report = job_runs.report(house, job_id)
    assert (report.state, report.waiting_reason) == ("running", "crm_unavailable")
    monkeypatch.undo()
    assert counts(run(house, job_id)) == {"created": 1}


def test_an_app_that_the_vendor_refuses_parks_the_job_until_it_is_put_right(
    wired, house, sandbox, connection, app
):
    _expire(house, sandbox, connection)
    for wrong in ("another-secret", None):
        refused = wired(**app | {"hubspot_client_secret": wrong})
        report = push(refused, connection, [contact(f"c{wrong}", f"p{wrong}")])
        assert (report.state, report.waiting_reason) == ("paused", "app_refused")
        assert connections.get(house, connection).state == "active"
        job_control.resume(house, report.id)
        assert counts(run(house, report.id)) == {"created": 1}
        _expire(house, sandbox, connection)
    assert [one.code for one in _told(house)] == ["job_parked", "job_parked"]
    assert all("goes on when it is resumed:" in one.message for one in _told(house))


def test_a_token_that_somebody_else_is_refreshing_by_is_no_refused_grant(
    wired, house, sandbox
):
    deps = wired(**app_at(sandbox, "salesforce"))
    made = complete(deps, consent(deps, wish_for("salesforce"))).connection
    tokens = deps.crms.open(made, lambda: None).tokens
    sandbox.behave("salesforce", fault="busy")
    with pytest.raises(Unavailable):
        tokens.renewed(tokens.secrets["access_token"])
    assert tokens.renewed(tokens.secrets["access_token"])


def test_a_vendor_that_gives_no_other_refresh_token_is_asked_by_the_first_again(
    wired, house, sandbox
):
    deps = wired(**app_at(sandbox, "salesforce"))
    sandbox.behave("salesforce", token_s=0)
    made = complete(deps, consent(deps, wish_for("salesforce"))).connection
    first = deps.crms.open(made, lambda: None).tokens.secrets
    assert "expires_at_s" not in first
    # Nothing says that the token has ended but that it is not taken.
    assert connections.test(deps, made.id).code == "unauthorized"
    sandbox.behave("salesforce")
    assert connections.test(deps, made.id).ok
    last = deps.crms.open(made, lambda: None).tokens.secrets
    assert last["refresh_token"] == first["refresh_token"]
    told = sandbox.tally("salesforce")
    assert (told["refreshes"], told["reused"]) == (2, 0)


def test_other_secrets_let_the_parked_jobs_of_a_connection_go_on(house, sandbox):
    revoked = connections.create(
        house,
        "acme",
        "hubspot",
        "Key",
        settings={"url": f"{sandbox.url}/hubspot"},
        secrets={"access_token": "revoked"},
    )
    report = push(house, revoked.id, [contact("c1", "p1")])
    assert report.waiting_reason == "needs_reconnect"
    connections.reconnect(house, revoked.id, {"access_token": "another"})
    assert counts(run(house, report.id)) == {"created": 1}


def _refused(*_):
    return Reply(401, {}, {"message": "the session has ended"})


def test_tokens_that_are_granted_and_not_taken_park_each_job_once(
    house, connection, monkeypatch
):
    job_ids = [submit(house, connection, [contact(f"c{n}", f"p{n}")]) for n in range(2)]
    with monkeypatch.context() as patched:
        patched.setattr(CrmHttp, "_ask", _refused)
        runs = sum(run_once(house, job_id) for _ in range(5) for job_id in job_ids)
    assert runs == 2
    assert len(_told(house)) == 2
    assert connections.test(house, connection).ok
    for job_id in job_ids:
        assert counts(run(house, job_id)) == {"created": 1}


def test_a_job_that_is_resumed_and_goes_through_takes_the_others_along(
    house, connection, monkeypatch
):
    first, second = (
        submit(house, connection, [contact(f"c{n}", f"p{n}")]) for n in range(2)
    )
    with monkeypatch.context() as patched:
        patched.setattr(CrmHttp, "_ask", _refused)
        for job_id in (first, second):
            run_once(house, job_id)
    job_control.resume(house, first)
    assert counts(run(house, first)) == {"created": 1}
    assert connections.get(house, connection).state == "active"
    assert counts(run(house, second)) == {"created": 1}


def test_a_parked_job_that_somebody_pauses_stays_paused(house, connection, monkeypatch):
    job_id = submit(house, connection, [contact("c1", "p1")])
    with monkeypatch.context() as patched:
        patched.setattr(CrmHttp, "_ask", _refused)
        assert run(house, job_id).waiting_reason == "needs_reconnect"
    job_control.pause(house, job_id)
    assert connections.test(house, connection).ok
    report = job_runs.report(house, job_id)
    assert (report.state, report.waiting_reason) == ("paused", "paused")
    job_control.resume(house, job_id)
    assert counts(run(house, job_id)) == {"created": 1}


def test_other_secrets_that_came_in_mid_push_are_not_blamed_for_the_old_ones(
    wired, house, sandbox, monkeypatch
):
    deps = wired(**app_at(sandbox, "pipedrive"))
    made = complete(deps, consent(deps, wish_for("pipedrive"))).connection
    job_id = submit(deps, made.id, [contact("c1", "p1")])
    ask = CrmHttp._ask
    seen: list[str] = []

    def changed(self, method, url, *given):
        if not seen and "organizations" in url:
            seen.append(url)
            connections.reconnect(deps, made.id, {"api_token": "token"})
            return Reply(401, {}, {"success": False, "error": "unauthorized"})
        return ask(self, method, url, *given)

    monkeypatch.setattr(CrmHttp, "_ask", changed)
    assert counts(run(deps, job_id)) == {"created": 1}
    assert connections.get(deps, made.id).state == "active"
