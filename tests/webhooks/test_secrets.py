"""A webhook's secret can be replaced without a message that its receiver refuses."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from standardwebhooks import Webhook as Standard
from standardwebhooks.webhooks import WebhookVerificationError
from stripe import SignatureVerificationError, WebhookSignature

from storage.webhooks import events
from storage.webhooks.events import EventType
from tests.support import job_runs
from tests.support.receivers import Call, Receiver, Reply, receiver
from worker.infrastructure.environment.secret import Secret
from worker.infrastructure.errors import BadInput, Refused
from worker.infrastructure.message_signatures import SIGNATURE
from worker.retention.pruner import Pruner
from worker.webhooks import webhooks
from worker.wiring import Wired

OLD = "whsec_A-b_" + "cD1-" * 9 + "e_f"
"""A secret as they were before they were those of Standard Webhooks."""
DAY_S = 24 * 3600


def _wire(database_url: str, tmp_path: Path, **settings: Any) -> Wired:
    return job_runs.wire_to(
        database_url, tmp_path, webhook_allow_private=True, **settings
    )


@pytest.fixture
def deps(database_url: str, tmp_path: Path) -> Iterator[Wired]:
    with closing((deps := _wire(database_url, tmp_path)).database):
        job_runs.create_license(deps)
        yield deps


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as there:
        yield there


@pytest.fixture
def hook(deps: Wired, there: Receiver) -> tuple[str, str]:
    made, secret = webhooks.create(deps, "acme", there.url(), ["period.closed"])
    return made.id, secret


def _told(deps: Wired, there: Receiver, subject: str = "period-1") -> Call:
    """Let an event happen; what the receiver was told last."""
    with deps.database.transaction() as connection:
        events.put(connection, "acme", EventType.PERIOD_CLOSED, subject, {"granted": 5})
    job_runs.complete(deps)
    return there.calls[-1]


def _fits(call: Call, secret: str) -> tuple[bool, bool]:
    """Whether a secret verifies a message by Standard Webhooks, and by Stripe's way."""
    return _passes(
        WebhookVerificationError,
        lambda: Standard(secret).verify(call.body, call.headers),
    ), _passes(
        SignatureVerificationError,
        lambda: WebhookSignature.verify_header(
            call.body, call.headers[SIGNATURE], secret, 300
        ),
    )


def _passes(error, verify) -> bool:
    try:
        verify()
    except error:
        return False
    return True


def _run(deps: Wired, statement: str) -> Any:
    with deps.database.transaction() as connection:
        return connection.execute(text(statement))


def _kept(deps: Wired) -> int:
    """How many replaced secrets the database still holds."""
    count: int = _run(deps, "SELECT count(*) FROM replaced_secrets").scalar_one()
    return count


def _age(deps: Wired) -> None:
    """Let all overlaps end a second ago."""
    _run(
        deps,
        """UPDATE replaced_secrets
              SET signs_until = clock_timestamp() - interval '1 second'""",
    )


def test_an_event_is_verified_by_the_libraries_of_both_schemes(deps, there, hook):
    call = _told(deps, there)
    assert _fits(call, hook[1]) == (True, True)
    assert call.headers["webhook-id"] == json.loads(call.body)["id"]


def test_another_attempt_has_the_same_id_and_a_time_of_its_own(deps, there, hook):
    there.answer = lambda n: Reply(500 if n == 1 else 200)
    _told(deps, there)
    first, second = there.calls
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    for call in (first, second):
        at_s = int(call.headers["webhook-timestamp"])
        assert abs(at_s - time.time()) < 60
        assert call.headers[SIGNATURE].startswith(f"t={at_s},")
        assert _fits(call, hook[1]) == (True, True)


def test_while_a_secret_is_replaced_each_message_is_signed_with_both(deps, there, hook):
    rotated = webhooks.rotate(deps, hook[0], DAY_S)
    assert rotated.old_secret_until is not None
    left_s = rotated.old_secret_until.timestamp() - time.time()
    assert abs(left_s - DAY_S) < 60
    call = _told(deps, there)
    assert _fits(call, rotated.secret) == (True, True)
    assert _fits(call, hook[1]) == (True, True)
    assert len(call.headers["webhook-signature"].split(" ")) == 2
    assert call.headers[SIGNATURE].count("v1=") == 2


def test_after_the_overlap_the_old_secret_signs_no_more_and_is_removed(
    deps, there, hook
):
    rotated = webhooks.rotate(deps, hook[0], DAY_S)
    _age(deps)
    call = _told(deps, there)
    assert _fits(call, rotated.secret) == (True, True)
    assert _fits(call, hook[1]) == (False, False)
    Pruner(deps).turn()
    assert _kept(deps) == 0
    webhooks.rotate(deps, hook[0], DAY_S)
    Pruner(deps).turn()
    assert _kept(deps) == 1


def test_without_an_overlap_whatever_was_good_ends_at_once(deps, there, hook):
    middle = webhooks.rotate(deps, hook[0], DAY_S)
    last = webhooks.rotate(deps, hook[0], 0)
    assert (last.old_secret_until, _kept(deps)) == (None, 0)
    call = _told(deps, there)
    assert [_fits(call, one) for one in (hook[1], middle.secret, last.secret)] == [
        (False, False),
        (False, False),
        (True, True),
    ]


def test_a_secret_that_was_lost_on_its_way_is_replaced_without_a_gap(deps, there, hook):
    """Who never saw the second one goes from the first to the third."""
    webhooks.rotate(deps, hook[0], DAY_S)
    third = webhooks.rotate(deps, hook[0], DAY_S)
    call = _told(deps, there)
    assert _fits(call, hook[1]) == _fits(call, third.secret) == (True, True)
    shorter = webhooks.rotate(deps, hook[0], 60)
    until = _run(deps, "SELECT max(signs_until) FROM replaced_secrets").scalar_one()
    assert until == shorter.old_secret_until


def test_a_secret_of_old_is_signed_with_as_ever_until_it_is_replaced(deps, there, hook):
    sealed = deps.keyring.encrypt(OLD)
    _run(deps, f"UPDATE webhooks SET secret = '{sealed}'")
    call = _told(deps, there)
    assert not any(name.lower().startswith("webhook-") for name in call.headers)
    assert _fits(call, OLD) == (False, True)
    rotated = webhooks.rotate(deps, hook[0], DAY_S)
    call = _told(deps, there, "period-2")
    assert _fits(call, OLD) == (False, True)
    assert _fits(call, rotated.secret) == (True, True)
    assert len(call.headers["webhook-signature"].split(" ")) == 1


def test_a_secret_that_no_key_reads_is_replaced_and_signs_nothing(
    deps, there, hook, database_url, tmp_path
):
    other = Secret("quite another key than before")
    with closing((lost := _wire(database_url, tmp_path, secret_keys=other)).database):
        rotated = webhooks.rotate(lost, hook[0], DAY_S)
        assert rotated.old_secret_until is None
        assert _fits(_told(lost, there), rotated.secret) == (True, True)


def test_a_deleted_webhook_leaves_no_secret_that_could_sign(deps, hook):
    webhooks.rotate(deps, hook[0], DAY_S)
    webhooks.delete(deps, hook[0])
    assert _kept(deps) == 0
    with pytest.raises(Refused):
        webhooks.rotate(deps, hook[0], DAY_S)
    assert _kept(deps) == 0


@pytest.mark.parametrize("overlap_s", [-1, webhooks.OVERLAP_S_MAX + 1])
def test_an_overlap_has_its_bounds(deps, hook, overlap_s):
    with pytest.raises(BadInput, match=r"^overlap_s: "):
        webhooks.rotate(deps, hook[0], overlap_s)
    assert _kept(deps) == 0


def test_of_many_who_replace_it_at_once_each_gets_a_secret_and_few_sign(
    database_url, tmp_path, deps, there, hook
):
    with closing((many := _wire(database_url, tmp_path, pool=8)).database):
        with ThreadPoolExecutor(8) as threads:
            made = list(
                threads.map(lambda _: webhooks.rotate(many, hook[0], DAY_S), range(8))
            )
        call = _told(many, there)
    assert sum(_fits(call, one.secret) == (True, True) for one in made) == 5
    assert call.headers[SIGNATURE].count("v1=") == 5


def test_what_a_request_replaces_is_noted_with_it_or_not_at_all(deps, there, hook):
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        webhooks.rotate(deps, hook[0], DAY_S, fail)
    assert _kept(deps) == 0
    noted: list[str] = []
    webhooks.rotate(deps, hook[0], DAY_S, lambda _, made: noted.append(made))
    assert noted == [hook[0]]
