"""Actions: offered where the state allows, confirmed with a reason, written down.

Each is also tried by everybody who has no right to it.
"""

import pytest
from sqlalchemy import text

from storage.access_scopes import Scope
from storage.jobs import heartbeats
from storage.operations import action_log
from storage.operations.action_log import WantedActions
from tests.console.test_pages import submitted
from tests.support.receivers import receiver
from worker.console.pages.confirmation import ACTIONS
from worker.console.pages.jobs import BULK_TITLES
from worker.jobs import job_control

REASON = "because a test says so"


@pytest.fixture
def job(api):
    api.license()
    return submitted(api)


def _row(api, query: str, **parameters: object):
    with api.deps.database.reading() as connection:
        return connection.execute(text(query), parameters).scalar_one()


def _change(api, statement: str, **parameters: object) -> None:
    with api.deps.database.transaction() as connection:
        connection.execute(text(statement), parameters)


def _state(api, job: str) -> str:
    return str(api.admin.get(f"/v1/jobs/{job}").json()["state"])


def _log(api) -> list[tuple[str, str, str | None]]:
    with api.deps.database.reading() as connection:
        found = action_log.actions(connection, WantedActions())
    return [(one.verb, one.target, one.reason) for one in found]


def _target(api, job: str, action: str) -> str:
    """What an action can be tried on: of license acme, where it is of one."""
    if action == "give-back":
        return str(_row(api, "SELECT min(id) FROM chunks"))
    if action == "send-again":
        return _delivery(api)
    if action in {"drain", "undrain"}:
        return _worker(api)
    return {
        "requeue": "all",
        "weight": "acme",
        "pause-scope": "license/acme",
        "resume-scope": "license/acme",
    }.get(action, job)


def _worker(api) -> str:
    with api.deps.database.transaction() as connection:
        heartbeats.report(connection, "here:1:ab", "worker")
    return "here:1:ab"


def _delivery(api) -> str:
    _change(
        api,
        """INSERT INTO webhooks (id, license_id, url, events, secret)
           VALUES ('w1', 'acme', 'http://127.0.0.1:1', '{job.finished}', 's')""",
    )
    _change(
        api,
        """INSERT INTO events (id, license_id, type, subject, data)
           VALUES ('e1', 'acme', 'job.finished', 'some-job', '{}')""",
    )
    _change(api, "INSERT INTO deliveries (webhook_id, event_id) VALUES ('w1', 'e1')")
    return str(_row(api, "SELECT id FROM deliveries"))


def test_a_paused_job_rests_and_who_did_it_why_and_from_where_is_written_down(
    api, browse, job
):
    operator = browse()
    page = operator.open(f"/console/jobs/{job}").text
    assert f"/console/act/pause/{job}" in page
    assert f"/console/act/resume/{job}" not in page
    shown = operator.open(f"/console/act/pause/{job}").text
    assert "It keeps its reservation" in shown
    assert _state(api, job) == "queued"
    done = operator.send(f"/console/act/pause/{job}", reason=f"  {REASON} ")
    assert (done.status_code, done.url.path) == (200, f"/console/jobs/{job}")
    assert _state(api, job) == "paused"
    assert REASON in done.text
    listed = operator.open("/console/actions").text
    for text_ in ("operator of a test", "console from 127.0.0.1", "pause", REASON):
        assert text_ in listed


def test_without_a_reason_nothing_is_done(api, browse, job):
    for reason in ("", "   ", "x" * 501):
        answer = browse().send(f"/console/act/pause/{job}", reason=reason)
        assert answer.status_code == 422
    assert (_state(api, job), _log(api)) == ("queued", [])


def test_what_the_state_does_not_allow_is_said_so_and_leaves_no_trace(api, browse, job):
    answer = browse().send(f"/console/act/resume/{job}", reason=REASON)
    # Resuming what runs changes nothing; giving up what runs is refused.
    assert answer.status_code == 200
    answer = browse().send(f"/console/act/give-up/{job}", reason=REASON)
    assert answer.status_code == 409
    assert f"{job} is queued" in answer.text
    assert _log(api) == []


def test_a_job_is_cancelled_and_retried(api, browse, job):
    operator = browse()
    operator.send(f"/console/act/cancel/{job}", reason=REASON)
    api.work()
    assert _state(api, job) == "cancelled"
    new = operator.send(f"/console/act/retry/{job}", reason=REASON)
    assert "a retry of" in new.text
    assert new.url.path != f"/console/jobs/{job}"
    assert [verb for verb, _, _ in _log(api)] == ["retry", "cancel"]


def test_a_job_goes_sooner_by_its_priority(api, browse, job):
    shown = browse().send(
        f"/console/act/priority/{job}", reason=REASON, priority="high"
    )
    assert "Priority high" in shown.text
    answer = browse().send(
        f"/console/act/priority/{job}", reason=REASON, priority="highest"
    )
    assert answer.status_code == 422
    assert _log(api) == [("set_priority high", job, REASON)]


@pytest.mark.parametrize("weight", ["0.2", "5", "heavy", ""])
def test_a_license_weighs_between_a_quarter_and_four(api, browse, job, weight):
    operator = browse()
    path = "/console/act/weight/acme"
    assert operator.send(path, reason=REASON, weight=weight).status_code == 422
    assert operator.send(path, reason=REASON, weight="2.5").status_code == 200
    assert "2.5" in operator.open("/console/queues").text
    assert _log(api) == [("set_weight 2.5", "acme", REASON)]


def test_a_stuck_chunk_is_taken_from_its_worker(api, browse, job):
    chunk_id = _row(api, "SELECT min(id) FROM chunks")
    _change(
        api,
        """UPDATE chunks SET state = 'running', owner = 'gone', attempt = 1,
                  lease_until = clock_timestamp() + interval '1 hour' WHERE id = :id""",
        id=chunk_id,
    )
    operator = browse()
    shown = operator.open(f"/console/jobs/{job}?chunk={chunk_id}").text
    assert f"/console/act/give-back/{chunk_id}" in shown
    done = operator.send(f"/console/act/give-back/{chunk_id}", reason=REASON)
    assert done.url.path == f"/console/jobs/{job}"
    assert (
        _row(api, "SELECT state FROM chunks WHERE id = :id", id=chunk_id) == "pending"
    )
    assert _log(api) == [("give_back", str(chunk_id), REASON)]


def test_a_webhook_is_told_again(api, browse, job):
    with receiver() as hook:
        api.admin.post(
            "/v1/webhooks",
            json={"license": "acme", "url": hook.url(), "events": ["job.finished"]},
        )
        api.ended(job)
        api.work()
        told = len(hook.calls)
        operator = browse()
        page = operator.open(f"/console/jobs/{job}").text
        delivery = page.partition("/console/act/send-again/")[2].partition('"')[0]
        operator.send(f"/console/act/send-again/{delivery}", reason=REASON)
        api.work()
        assert len(hook.calls) == told + 1


def test_the_outbox_is_tried_at_once(api, browse, job):
    job_control.cancel(api.deps, job)
    _change(
        api,
        """UPDATE outbox SET last_error = 'no room',
                  run_at = clock_timestamp() + interval '1 hour'""",
    )
    browse().send("/console/act/requeue/all", reason=REASON)
    assert _row(api, "SELECT bool_and(run_at <= clock_timestamp()) FROM outbox")
    assert [verb for verb, _, _ in _log(api)] == ["requeue"]


def test_one_verb_for_all_that_match_says_first_how_many(api, browse, job):
    other = submitted(api, records=[{"company": {"id": "z"}}])
    operator = browse()
    path = "/console/act-on-all/pause?kind=export&license=acme"
    assert "2 Exports" in operator.open(path).text
    done = operator.send(path, reason=REASON, expected="2")
    assert done.url.path == "/console/actions"
    assert [_state(api, one) for one in (job, other)] == ["paused", "paused"]
    assert done.text.count(REASON) == 3


def test_where_more_match_than_were_told_nothing_is_done(api, browse, job):
    submitted(api, records=[{"company": {"id": "z"}}])
    path = "/console/act-on-all/cancel?kind=export&license=acme"
    answer = browse().send(path, reason=REASON, expected="1")
    assert answer.status_code == 409
    assert (_state(api, job), _log(api)) == ("queued", [])


@pytest.mark.parametrize(
    ("scope", "page", "why"),
    [
        ("license/acme", "queues", "An operator has paused its license"),
        ("everything/", "", "An operator has paused everything"),
        # Whether it is needed shows once a worker asks.
        ("provider/hunter", "providers", "No worker is alive"),
    ],
)
@pytest.mark.parametrize(
    "settings", [{"providers": "directory,hunter", "hunter_key": "k" * 20}]
)
def test_more_than_a_job_is_paused_and_resumed(api, browse, job, scope, page, why):
    operator = browse()
    done = operator.send(f"/console/act/pause-scope/{scope}", reason=REASON)
    assert (done.status_code, done.url.path) == (200, f"/console/{page}")
    assert REASON in done.text
    assert why in operator.open(f"/console/jobs/{job}").text
    overview = operator.open("/console/").text
    told = overview.partition("Paused by operators")[2].partition("</ul>")[0]
    assert REASON in told
    if scope.startswith("provider"):
        assert "paused by operator of a test" in overview
        assert ">asked<" not in overview
    resumed = operator.send(f"/console/act/resume-scope/{scope}", reason=REASON)
    assert REASON not in resumed.text
    assert [verb for verb, _, _ in _log(api)] == ["resume", "pause"]


def test_a_key_of_a_license_pauses_and_resumes_it_from_its_jobs(api, browse, job):
    bound = browse(Scope.OPERATOR, "acme")
    path = "/console/act/{}/license/acme"
    assert path.format("pause-scope") in bound.open("/console/jobs").text
    assert "/act/weight" not in bound.open("/console/jobs").text
    done = bound.send(path.format("pause-scope"), reason=REASON)
    assert (done.status_code, done.url.path) == (200, "/console/jobs")
    assert REASON in done.text
    assert path.format("resume-scope") in done.text
    done = bound.send(path.format("resume-scope"), reason=REASON)
    assert (done.status_code, done.url.path) == (200, "/console/jobs")
    assert REASON not in done.text


def test_a_license_of_which_nothing_waits_is_paused_and_weighed_from_its_jobs(
    api, browse
):
    api.license()
    shown = browse().open("/console/jobs?license=acme").text
    assert "/console/act/pause-scope/license/acme" in shown
    assert "/console/act/weight/acme" in shown
    assert "/console/act/" not in browse().open("/console/jobs?license=nobody").text


def test_forms_are_filled_with_how_it_is_now(api, browse, job):
    operator = browse()
    operator.send("/console/act/weight/acme", reason=REASON, weight="2.5")
    assert 'value="2.50"' in operator.open("/console/act/weight/acme").text
    path = f"/console/act/priority/{job}"
    operator.send(path, reason=REASON, priority="high")
    assert '<option selected value="high">' in operator.open(path).text


def test_what_the_state_forbids_is_not_asked_for(api, browse, job):
    operator, worker = browse(), _worker(api)
    chunk = _row(api, "SELECT min(id) FROM chunks")
    for path in (
        f"resume/{job}",
        f"retry/{job}",
        f"give-up/{job}",
        f"give-back/{chunk}",
        f"undrain/{worker}",
        "resume-scope/license/acme",
    ):
        answer = operator.open(f"/console/act/{path}")
        assert answer.status_code == 409, path
        assert 'name="reason"' not in answer.text
        assert "This cannot be done to what is" in answer.text


def test_a_worker_is_drained_and_let_work_again(api, browse):
    worker, operator = _worker(api), browse()
    shown = operator.send(f"/console/act/drain/{worker}", reason=REASON)
    assert "draining" in shown.text
    assert f"/console/act/undrain/{worker}" in shown.text
    shown = operator.send(f"/console/act/undrain/{worker}", reason=REASON)
    assert "alive" in shown.text
    assert [verb for verb, _, _ in _log(api)] == ["undrain", "drain"]


# -- Everybody without the right.


@pytest.mark.parametrize("scope", [Scope.OBSERVER, Scope.FINANCE])
def test_whoever_may_only_look_is_offered_nothing_and_refused_everything(
    api, browse, job, scope
):
    looker = browse(scope)
    for path in ("/console/jobs", f"/console/jobs/{job}", "/console/queues"):
        assert "/console/act" not in looker.open(path).text.replace(
            "/console/actions", ""
        )
    token = looker.token("/console/jobs")
    sent = {"csrf_token": token, "reason": REASON, "weight": "2", "expected": "9"}
    for path in _all_paths(api, job):
        assert looker.open(path).status_code == 403
        assert looker.http.post(path, data=sent).status_code == 403
    assert (_state(api, job), _log(api)) == ("queued", [])


def _all_paths(api, job: str) -> list[str]:
    return [
        *(f"/console/act/{name}/{_target(api, job, name)}" for name in ACTIONS),
        *(f"/console/act-on-all/{verb}?kind=export" for verb in BULK_TITLES),
    ]


def test_a_key_of_another_license_acts_on_nothing_of_this_one(api, browse, job):
    api.license("globex")
    bound = browse(Scope.OPERATOR, "globex")
    token = bound.token("/console/jobs")
    sent = {"csrf_token": token, "reason": REASON, "weight": "2", "expected": "9"}
    for path in _all_paths(api, job):
        answer = bound.http.post(path, data=sent)
        # What is of all jobs is of all of its own.
        allowed = {200} if "act-on-all" in path else {403, 404}
        assert answer.status_code in allowed, path
    assert (_state(api, job), _log(api)) == ("queued", [])


def test_a_key_of_this_license_steers_its_jobs_and_nothing_of_the_house(
    api, browse, job
):
    bound = browse(Scope.OPERATOR, "acme")
    assert bound.send(f"/console/act/pause/{job}", reason=REASON).status_code == 200
    token = bound.token("/console/jobs")
    sent = {"csrf_token": token, "reason": REASON, "weight": "2"}
    for path in (
        "/console/act/weight/acme",
        "/console/act/requeue/all",
        f"/console/act/drain/{_worker(api)}",
        "/console/act/pause-scope/everything/",
        "/console/act/pause-scope/provider/hunter",
    ):
        assert bound.http.post(path, data=sent).status_code == 403
    assert [verb for verb, _, _ in _log(api)] == ["pause"]


def test_a_form_that_another_site_sends_does_nothing(api, browse, job):
    operator, other = browse(), browse()
    paths = _all_paths(api, job)
    for token in ({}, {"csrf_token": other.token("/console/jobs")}):
        for path in paths:
            answer = operator.http.post(path, data={"reason": REASON, **token})
            assert answer.status_code == 403
    assert (_state(api, job), _log(api)) == ("queued", [])


def test_who_has_not_signed_in_is_led_to_the_sign_in(api, stranger, job):
    for path in _all_paths(api, job):
        assert stranger.http.post(path, data={"reason": REASON}).url.path.endswith(
            "/sign-in"
        )
    assert (_state(api, job), _log(api)) == ("queued", [])


def test_what_there_is_not_cannot_be_acted_on(browse, api):
    for path in (
        "pause/nobody",
        "give-back/9",
        f"give-back/{10**30}",
        f"send-again/{10**30}",
        "give-back/x",
        "weight/nobody",
        "fly/x",
    ):
        assert browse().open(f"/console/act/{path}").status_code == 404
