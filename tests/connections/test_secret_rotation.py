"""Keys that are replaced: what the old one has encrypted can be read for ever after."""

from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import text

from tests.support.push_runs import connect
from worker.connections import connections
from worker.infrastructure.environment.secret import Secret
from worker.infrastructure.errors import NotConfigured
from worker.retention import secret_rotation
from worker.webhooks import webhooks
from worker.wiring import Wired

OLD, NEW = "an-old-key-of-20-letters", "a-new-key-of-20-letters!"


def test_secrets_are_encrypted_anew_so_that_an_old_key_can_be_left_out(
    wired, house, sandbox
):
    old = wired(secret_keys=Secret(OLD))
    url = {"url": f"{sandbox.url}/hubspot"}
    made = connect(old, "hubspot", url, {"access_token": "token"})
    webhook, _ = webhooks.create(old, "acme", "http://127.0.0.1:1/", ["job.finished"])
    webhooks.rotate(old, webhook.id, overlap_s=60)
    both = wired(secret_keys=Secret(f"{NEW},{OLD}"))
    new = wired(secret_keys=Secret(NEW))
    assert connections.test(both, made).ok
    with pytest.raises(NotConfigured):
        secret_rotation.rotate(new)
    assert secret_rotation.rotate(both) == 3
    assert connections.test(new, made).ok
    assert not connections.test(old, made).ok
    assert len(_secrets(new)) == 2


def test_a_secret_that_is_replaced_at_that_moment_is_encrypted_anew_too(wired, house):
    old = wired(secret_keys=Secret(OLD))
    webhook, _ = webhooks.create(old, "acme", "http://127.0.0.1:1/", ["job.finished"])
    both = wired(secret_keys=Secret(f"{NEW},{OLD}"))

    def slowly(*_: object) -> None:
        """Replaced, and not committed before everything waits for it."""
        meanwhile.append(threads.submit(secret_rotation.rotate, both))
        while not meanwhile[0].done():
            if threads.submit(_somebody_waits, house).result():
                return

    meanwhile: list[Future[int]] = []
    with ThreadPoolExecutor(2) as threads:
        webhooks.rotate(old, webhook.id, 60, slowly)
        assert meanwhile[0].result(30) == 2
    new = wired(secret_keys=Secret(NEW))
    assert len(_secrets(new)) == 2


def _somebody_waits(deps: Wired) -> bool:
    with deps.database.transaction() as connection:
        waiting = text("""
            SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'""")
        return bool(connection.execute(waiting).scalar_one())


def _secrets(deps: Wired) -> set[str]:
    """The secrets of webhooks, old and new, as these keys read them."""
    with deps.database.transaction() as connection:
        kept = connection.execute(
            text(
                "SELECT secret FROM webhooks UNION SELECT secret FROM replaced_secrets"
            )
        ).scalars()
        return {deps.keyring.decrypt(one) for one in kept}
