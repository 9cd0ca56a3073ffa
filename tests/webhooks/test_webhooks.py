"""Webhooks are told of each event under one id, signed, until they accept it."""

import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import text

from storage.jobs import lost_work, outbox
from storage.operations import action_log
from storage.operations.action_log import Acting, Actor, WantedActions
from storage.webhooks import events, webhook_deliveries
from storage.webhooks.events import EventType
from storage.webhooks.webhook_deliveries import Delivery
from storage.webhooks.webhooks import Webhook
from tests.support import job_runs
from tests.support.receivers import Call, Receiver, Reply, receiver
from worker.exports import download_links
from worker.infrastructure import clock, message_signatures
from worker.infrastructure.errors import BadInput, Refused
from worker.infrastructure.settings import Settings
from worker.infrastructure.task_results import Done, Later, Never, TaskResult
from worker.jobs import submission
from worker.jobs.outbox_runner import run_entry
from worker.responses import job_responses, webhook_responses
from worker.webhooks import webhooks as use
from worker.wiring import Wired, wire

ATTEMPTS_MAX = 4
ALL = [type_.value for type_ in EventType]


def _wire(database_url: str, tmp_path: Path, **settings: Any) -> Wired:
    given = {
        "home": tmp_path,
        "database_url": database_url,
        "webhook_allow_private": True,
        "webhook_attempts_max": ATTEMPTS_MAX,
        "webhook_timeout_s": 5,
    }
    return wire(Settings(**(given | settings)))


@pytest.fixture
def deps(database_url: str, tmp_path: Path) -> Iterator[Wired]:
    deps = _wire(database_url, tmp_path)
    job_runs.create_license(deps)
    job_runs.create_license(deps, "other")
    yield deps
    deps.database.close()


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as there:
        yield there


@pytest.fixture
def hook(deps: Wired, there: Receiver) -> tuple[Webhook, str]:
    return use.create(deps, "acme", there.url(), ALL)


def _happen(deps: Wired, subject: str = "period-1", license_id: str = "acme") -> str:
    """Let an event happen and hand it to the webhooks; its id."""
    with deps.database.transaction() as connection:
        events.put(
            connection, license_id, EventType.PERIOD_CLOSED, subject, {"granted": 5}
        )
        event_id: str = connection.execute(
            text("SELECT id FROM events WHERE subject = :subject"),
            {"subject": subject},
        ).scalar_one()
    _run_all(deps, events.FAN_OUT)
    return event_id


def _waiting(deps: Wired, topic: str) -> list[int]:
    with deps.database.transaction() as connection:
        return list(
            connection.execute(
                text("""
                    SELECT id FROM outbox WHERE topic = :topic AND state = 'pending'
                     ORDER BY id"""),
                {"topic": topic},
            ).scalars()
        )


def _run_all(deps: Wired, topic: str) -> list[TaskResult]:
    """Run what waits under a topic, as if its time had come."""
    ids = _waiting(deps, topic)
    with deps.database.transaction() as connection:
        connection.execute(
            text("""
                UPDATE outbox SET run_at = clock_timestamp()
                 WHERE state = 'pending'""")
        )
    return [run_entry(deps, entry_id) for entry_id in ids]


def _deliver(deps: Wired) -> list[TaskResult]:
    return _run_all(deps, webhook_deliveries.DELIVER)


def _deliveries(deps: Wired, hook: tuple[Webhook, str]) -> list[Delivery]:
    with deps.database.transaction() as connection:
        return webhook_deliveries.deliveries(connection, hook[0].id)


def _verify(call: Call, secret: str) -> int:
    """As docs/webhooks.md says; the second it was signed in."""
    header = dict(
        part.split("=", 1)
        for part in call.headers[message_signatures.SIGNATURE].split(",")
    )
    signed = f"{header['t']}.".encode() + call.body
    right = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(right, header["v1"])
    return int(header["t"])


def test_a_delivery_is_signed_and_says_what_happened(deps, there, hook):
    event_id = _happen(deps)
    assert _deliver(deps) == [Done()]
    (call,) = there.calls
    with deps.database.transaction() as connection:
        now = connection.execute(text("SELECT extract(epoch FROM now())")).scalar_one()
    assert abs(now - _verify(call, hook[1])) < 60
    assert call.headers["Content-Type"] == "application/json"
    body = json.loads(call.body)
    assert list(body) == ["id", "type", "created_at", "data"]
    assert (body["id"], body["type"]) == (event_id, "period.closed")
    assert body["data"] == {"granted": 5}
    assert body["created_at"].endswith("Z")
    (delivery,) = _deliveries(deps, hook)
    ((_, status, error, took_s),) = delivery.attempts
    assert (status, error) == (200, None)
    assert 0 <= took_s < 5
    assert delivery.delivered_at is not None
    assert delivery.next_attempt_at is None


def test_another_secret_or_another_body_does_not_verify(deps, there, hook):
    _happen(deps)
    _deliver(deps)
    (call,) = there.calls
    with pytest.raises(AssertionError):
        _verify(call, "whsec_another")
    with pytest.raises(AssertionError):
        _verify(call._replace(body=call.body + b" "), hook[1])


def test_a_finished_job_is_delivered_as_the_api_shows_it(deps, there, hook):
    stored = job_runs.quote(deps, ["c1", "c2"], retrieve=())
    job_id = submission.submit(deps, stored.id)
    report = job_runs.run(deps, job_id)
    (call,) = there.calls
    body = json.loads(call.body)
    assert (body["type"], body["data"]) == (
        "job.finished",
        job_responses.of_job(report),
    )
    assert body["data"]["credits"]["settled"] == 2


def test_a_finished_job_is_delivered_with_a_link_to_its_file(
    database_url, tmp_path, there
):
    public = "https://exports.example.com"
    deps = _wire(database_url, tmp_path, public_url=public)
    with closing(deps.database):
        job_runs.create_license(deps)
        use.create(deps, "acme", there.url("/hook"), ALL)
        stored = job_runs.quote(deps, ["c1"], retrieve=())
        job_id = submission.submit(deps, stored.id)
        job_runs.run(deps, job_id)
        (call,) = there.calls
        file = json.loads(call.body)["data"]["file"]
        url = urlsplit(file["url"])
        query = dict(parse_qsl(url.query))
        expires_at = datetime.fromtimestamp(int(query["expires"]), UTC)
        assert f"{url.scheme}://{url.netloc}" == public
        assert url.path == f"/v1/files/{job_id}"
        assert file["expires_at"] == clock.instant(expires_at)
        assert download_links.is_ours(deps, job_id, expires_at, query["signature"])


@pytest.mark.parametrize("status", [500, 503, 429, 404, 400, 301, 307, 304])
def test_what_is_not_accepted_is_tried_again_under_the_same_id(
    deps, there, hook, status
):
    away = (("Location", there.url("/elsewhere")),)
    there.answer = lambda n: Reply(status, headers=away) if n < 3 else Reply(204)
    event_id = _happen(deps)
    fates = [_deliver(deps) for _ in range(3)]
    assert fates[:2] == [
        [Later(5, f"answered {status}")],
        [Later(10, f"answered {status}")],
    ]
    assert fates[2] == [Done()]
    assert _deliver(deps) == []
    assert {json.loads(call.body)["id"] for call in there.calls} == {event_id}
    assert {call.path for call in there.calls} == {"/hook"}
    assert len({call.body for call in there.calls}) == 1
    (delivery,) = _deliveries(deps, hook)
    assert [attempt.status for attempt in delivery.attempts] == [status, status, 204]


def test_what_failed_waits_before_it_is_tried_again(deps, there, hook):
    there.answer = lambda _: Reply(500)
    _happen(deps)
    _deliver(deps)
    (entry_id,) = _waiting(deps, webhook_deliveries.DELIVER)
    assert run_entry(deps, entry_id) == Never("not to be taken")
    (delivery,) = _deliveries(deps, hook)
    assert delivery.next_attempt_at is not None
    assert delivery.next_attempt_at > delivery.attempts[0].attempted_at
    assert len(there.calls) == 1


def test_no_answer_in_time_is_an_error_that_is_logged(database_url, tmp_path, there):
    deps = _wire(database_url, tmp_path, webhook_timeout_s=0.2)
    job_runs.create_license(deps)
    hook = use.create(deps, "acme", there.url(), ALL)
    answered = threading.Event()

    def answer(number: int) -> Reply:
        if number == 1:
            answered.wait(10)
        return Reply()

    there.answer = answer
    event_id = _happen(deps)
    assert _deliver(deps) == [Later(5, "no answer within 0.2 s")]
    answered.set()
    assert _deliver(deps) == [Done()]
    assert [json.loads(call.body)["id"] for call in there.calls] == [event_id] * 2
    (delivery,) = _deliveries(deps, hook)
    first, second = delivery.attempts
    assert (first.status, first.error) == (None, "no answer within 0.2 s")
    assert first.took_s >= 0.2
    assert second.status == 200
    deps.database.close()


def test_after_enough_attempts_a_delivery_is_given_up(deps, there, hook):
    there.answer = lambda _: Reply(500)
    _happen(deps)
    fates = [_deliver(deps) for _ in range(ATTEMPTS_MAX)]
    assert fates[-1] == [Never("given up: answered 500")]
    assert _deliver(deps) == []
    assert len(there.calls) == ATTEMPTS_MAX
    (delivery,) = _deliveries(deps, hook)
    assert delivery.given_up_at is not None
    assert delivery.delivered_at is None
    assert delivery.next_attempt_at is None


def test_webhooks_hear_of_their_license_and_of_what_they_asked_for(deps, there):
    for license_id, wanted in (
        ("acme", ["period.closed"]),
        ("acme", ["period.closed", "credits.low", "period.closed"]),
        ("acme", ["job.finished"]),
        ("other", ALL),
    ):
        path = f"/{license_id}-{len(wanted)}-{wanted[0]}"
        use.create(deps, license_id, there.url(path), wanted)
    _happen(deps)
    _deliver(deps)
    assert sorted(call.path for call in there.calls) == [
        "/acme-1-period.closed",
        "/acme-3-period.closed",
    ]


def test_an_event_without_webhooks_is_done_with(deps):
    _happen(deps)
    assert _waiting(deps, events.FAN_OUT) == []
    assert _waiting(deps, webhook_deliveries.DELIVER) == []


def test_a_deleted_webhook_is_silent(deps, there, hook):
    _happen(deps, "before")
    use.delete(deps, hook[0].id)
    assert _deliver(deps) == [Never("the webhook was deleted")]
    _happen(deps, "after")
    assert _deliver(deps) == []
    assert there.calls == []
    (delivery,) = _deliveries(deps, hook)
    assert delivery.given_up_at is not None
    assert delivery.attempts == ()
    for act in (use.get, use.delete, use.deliveries):
        with pytest.raises(Refused):
            act(deps, hook[0].id)
    assert use.page(deps) == []


def test_two_workers_that_take_one_entry_ask_once(deps, there, hook):
    _happen(deps)
    (entry_id,) = _waiting(deps, webhook_deliveries.DELIVER)
    with ThreadPoolExecutor(2) as threads:
        fates = list(threads.map(lambda _: run_entry(deps, entry_id), range(2)))
    assert sorted(type(fate).__name__ for fate in fates) == ["Done", "Never"]
    assert len(there.calls) == 1


@pytest.mark.parametrize("late", [200, 500])
@pytest.mark.parametrize("current", [200, 500])
def test_a_late_workers_attempt_is_kept_beside_that_of_the_current_one(
    deps, there, hook, late, current
):
    """The first one's lease lapses while it asks: both have asked, both are logged."""
    _happen(deps)
    (entry_id,) = _waiting(deps, webhook_deliveries.DELIVER)
    asked, go_on = threading.Event(), threading.Event()

    def answer(number: int) -> Reply:
        if number > 1:
            return Reply(current)
        asked.set()
        go_on.wait(10)
        return Reply(late)

    there.answer = answer
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(run_entry, deps, entry_id)
        assert asked.wait(10)
        with deps.database.transaction() as connection:
            connection.execute(
                text(
                    "UPDATE outbox SET lease_until = '2000-01-01'"
                    " WHERE state = 'running'"
                )
            )
            assert lost_work.bring_back_entries(connection, delay_s=0) == 1
        _deliver(deps)
        go_on.set()
        assert isinstance(first.result(10), Done if late == 200 else Never)
    (delivery,) = _deliveries(deps, hook)
    assert [attempt.status for attempt in delivery.attempts] == [current, late]
    assert (delivery.delivered_at is not None) == (200 in {late, current})
    _deliver(deps)
    assert len(there.calls) == (2 if 200 in {late, current} else 3)
    assert _waiting(deps, webhook_deliveries.DELIVER) == (
        [] if len(there.calls) == 2 else [entry_id]
    )


def test_two_workers_tell_many_webhooks_side_by_side(deps, there, hook):
    for number in range(10):
        _happen(deps, f"period-{number}")
    ids = _waiting(deps, webhook_deliveries.DELIVER)
    with ThreadPoolExecutor(2) as threads:
        for both in zip(
            threads.map(lambda entry_id: run_entry(deps, entry_id), ids),
            threads.map(lambda entry_id: run_entry(deps, entry_id), reversed(ids)),
            strict=True,
        ):
            assert all(isinstance(fate, Done | Never) for fate in both)
    told = [json.loads(call.body)["id"] for call in there.calls]
    assert len(told) == len(set(told)) == 10
    assert all(len(delivery.attempts) == 1 for delivery in _deliveries(deps, hook))


def test_no_transaction_is_open_while_a_webhook_is_asked(deps, there, hook):
    seen: list[int] = []

    def answer(_: int) -> Reply:
        with deps.database.transaction() as connection:
            seen.append(
                connection.execute(
                    text("""
                        SELECT count(*) FROM pg_stat_activity
                         WHERE datname = current_database()
                           AND state LIKE 'idle in transaction%'""")
                ).scalar_one()
            )
        return Reply()

    there.answer = answer
    _happen(deps)
    assert _deliver(deps) == [Done()]
    assert seen == [0]


def test_the_guard_holds_at_creation_and_at_each_attempt(
    deps, there, hook, database_url, tmp_path
):
    guarded = _wire(database_url, tmp_path, webhook_allow_private=False)
    for url in (there.url(), there.url(host="localhost"), "http://[::1]/", "ftp://a/"):
        with pytest.raises(BadInput, match=r"^url: "):
            use.create(guarded, "acme", url, ALL)
    _happen(deps)
    why = "forbidden target: the host's address is loopback"
    assert _deliver(guarded) == [Later(5, why)]
    assert there.calls == []
    (delivery,) = _deliveries(deps, hook)
    assert [attempt.error for attempt in delivery.attempts] == [why]
    guarded.database.close()


@pytest.mark.parametrize("wanted", [[], ["job.begun"], ["job.finished", ""]])
def test_events_that_there_are_not_are_refused(deps, there, wanted):
    with pytest.raises(BadInput, match=r"^events: "):
        use.create(deps, "acme", there.url(), wanted)


def test_a_webhook_needs_its_license_and_a_url_of_some_length(deps, there):
    with pytest.raises(Refused):
        use.create(deps, "nobody", there.url(), ALL)
    with pytest.raises(BadInput, match=r"^url: "):
        use.create(deps, "acme", there.url("/" + "a" * 2000), ALL)
    assert use.page(deps) == []


def test_what_a_request_made_is_noted_with_it_or_not_at_all(deps, there):
    noted: list[str] = []
    webhook, _ = use.create(
        deps, "acme", there.url(), ALL, once=lambda _, made: noted.append(made)
    )
    assert noted == [webhook.id]

    def again(*_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use.create(deps, "acme", there.url(), ALL, once=again)
    assert use.page(deps) == [webhook]


def test_the_secret_is_shown_once_and_nowhere_else(deps, there, hook, caplog):
    caplog.set_level(logging.DEBUG)
    webhook, secret = hook
    there.answer = lambda n: Reply(500 if n == 1 else 200)
    _happen(deps)
    _deliver(deps)
    _deliver(deps)
    shown = [
        caplog.text,
        repr(use.page(deps)),
        repr(use.get(deps, webhook.id)),
        repr(use.deliveries(deps, webhook.id)),
        json.dumps(webhook_responses.of_webhook(webhook)),
        json.dumps(
            [webhook_responses.of_delivery(one) for one in _deliveries(deps, hook)]
        ),
    ]
    with deps.database.transaction() as connection:
        for table in (
            *("webhooks", "replaced_secrets"),
            *("events", "deliveries", "delivery_attempts"),
        ):
            rows = connection.execute(text(f"SELECT {table}::text FROM {table}"))
            shown.append(repr(rows.all()))
    assert not any(secret in text_ for text_ in shown)
    assert webhook_responses.of_webhook(webhook, secret=secret)["secret"] == secret


def test_a_secret_that_no_key_reads_is_an_error_of_the_attempt(
    deps, there, hook, database_url, tmp_path
):
    lost = _wire(database_url, tmp_path, secret_keys="quite another key than before")
    _happen(deps)
    assert _deliver(lost) == [Later(5, "none of the secret keys fits")]
    lost.database.close()
    assert there.calls == []
    assert _deliver(deps) == [Done()]


def test_webhooks_and_deliveries_are_read_page_by_page(deps, there):
    made = [use.create(deps, "acme", there.url(), ALL)[0] for _ in range(5)]
    use.create(deps, "other", there.url(), ALL)
    ordered = sorted(made, key=lambda webhook: webhook.id)
    first = use.page(deps, license_id="acme", limit=3)
    assert first == ordered[:3]
    assert use.page(deps, license_id="acme", after=first[-1].id) == ordered[3:]
    assert len(use.page(deps)) == 6
    for number in range(5):
        _happen(deps, f"period-{number}")
    webhook_id = made[0].id
    newest = use.deliveries(deps, webhook_id, limit=3)
    rest = use.deliveries(deps, webhook_id, before=newest[-1].id)
    ids = [delivery.id for delivery in newest + rest]
    assert len(ids) == 5
    assert ids == sorted(ids, reverse=True)


def test_an_entry_of_a_topic_that_nobody_handles_comes_back(deps):
    with deps.database.transaction() as connection:
        outbox.put(connection, "nobody.handles", "it")
    assert isinstance(_run_all(deps, "nobody.handles")[0], Later)


def test_a_delivery_is_sent_once_more_whatever_became_of_it(deps, there, hook):
    by = Acting(Actor("ada", "here"), "they lost it")
    _happen(deps)
    there.answer = lambda number: Reply(500 if number <= ATTEMPTS_MAX + 1 else 200)
    for _ in range(ATTEMPTS_MAX):
        _deliver(deps)
    (given_up,) = _deliveries(deps, hook)
    assert given_up.given_up_at is not None
    # It fails once more, and is given up again; then it is accepted, twice.
    for calls, is_delivered in ((1, False), (2, True), (3, True)):
        again = use.send_again(deps, given_up.id, by)
        assert (again.delivered_at, again.given_up_at) == (None, None)
        assert again.next_attempt_at is not None
        _deliver(deps)
        (after,) = _deliveries(deps, hook)
        assert len(after.attempts) == ATTEMPTS_MAX + calls
        assert (after.delivered_at is not None) == is_delivered
        assert (after.given_up_at is None) == is_delivered
        assert _waiting(deps, webhook_deliveries.DELIVER) == []
    assert len({json.loads(call.body)["id"] for call in there.calls}) == 1
    with deps.database.transaction() as connection:
        noted = action_log.actions(connection, WantedActions(license_id="acme"))
    assert [(one.verb, one.target) for one in noted] == [
        ("send_again", str(given_up.id))
    ] * 3


def test_a_delivery_that_is_about_to_be_sent_or_is_there_no_more_is_left_alone(
    deps, hook
):
    by = Acting(Actor("ada", "here"))
    _happen(deps)
    (waits,) = _deliveries(deps, hook)
    assert use.send_again(deps, waits.id, by) == waits
    with pytest.raises(Refused):
        use.send_again(deps, waits.id + 1, by)
    use.delete(deps, hook[0].id)
    with pytest.raises(Refused):
        use.send_again(deps, waits.id, by)
    with deps.database.transaction() as connection:
        assert action_log.actions(connection, WantedActions()) == []
