"""Keys that are replaced: what the old one has encrypted can be read for ever after."""

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from tests.support.push_runs import connect
from worker.connections import connections
from worker.infrastructure.errors import NotConfigured
from worker.retention import secret_rotation
from worker.webhooks import webhooks

OLD, NEW = "an-old-key-of-20-letters", "a-new-key-of-20-letters!"


def test_secrets_are_encrypted_anew_so_that_an_old_key_can_be_left_out(
    wired, house, sandbox
):
    old = wired(secret_keys=SecretStr(OLD))
    url = {"url": f"{sandbox.url}/hubspot"}
    made = connect(old, "hubspot", url, {"access_token": "token"})
    webhook, _ = webhooks.create(old, "acme", "http://127.0.0.1:1/", ["job.finished"])
    webhooks.rotate(old, webhook.id, overlap_s=60)
    both = wired(secret_keys=SecretStr(f"{NEW},{OLD}"))
    new = wired(secret_keys=SecretStr(NEW))
    assert connections.test(both, made).ok
    with pytest.raises(NotConfigured):
        secret_rotation.rotate(new)
    assert secret_rotation.rotate(both) == 3
    assert connections.test(new, made).ok
    assert not connections.test(old, made).ok
    with new.database.transaction() as connection:
        kept = connection.execute(
            text(
                "SELECT secret FROM webhooks UNION SELECT secret FROM replaced_secrets"
            )
        ).scalars()
        assert len({new.keyring.decrypt(one) for one in kept}) == 2
