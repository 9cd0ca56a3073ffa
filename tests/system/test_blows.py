"""Blows of every kind upon whole installations, while customers come and go.

Whatever is struck, each customer has paid for what is in the files and the CRM and for
nothing else, and every job ends by itself.
"""

import os
import time

import httpx
import pytest

from tests.support.blows import Blows
from tests.support.brokers import KINDS
from tests.support.customers import PERSONS, WAYS, Client, Crowd, pusher
from tests.support.fleet import directory_lines, until
from tests.support.installations import Installation, beside_servers, embedded
from tests.support.sandboxes import sandbox_process

pytestmark = pytest.mark.slow

_LASTING_S = float(os.environ.get("HOLDFAST_TEST_BLOWS_S", "20"))
_SEED = int(os.environ.get("HOLDFAST_TEST_BLOWS_SEED", "20260"))
_BETWEEN_S = 0.7
_ENDED_WITHIN_S = 60
"""On an idle machine."""


@pytest.mark.timeout(_LASTING_S * 2 + 600)
@pytest.mark.parametrize("kind", ["up", *KINDS])
def test_whatever_is_struck_each_credit_is_right_and_each_job_ends(
    kind, tmp_path, capsys, slack
):
    with (
        _installation(tmp_path / "installation", kind) as installation,
        sandbox_process("--latency-ms", "10") as sandbox_url,
        Client(installation.url) as client,
    ):
        try:
            _endure(installation, client, sandbox_url, slack, capsys)
        except BaseException:
            print(installation.log())
            raise


def _installation(folder, kind):
    return embedded(folder) if kind == "up" else beside_servers(folder, kind)


def _endure(
    installation: Installation, client: Client, sandbox_url: str, slack: float, capsys
) -> None:
    until(lambda: client.call("GET", "/readyz").status_code == 200)
    _load_directory(installation)
    crowd = Crowd(client, _SEED, (*WAYS, pusher(sandbox_url)))
    blows = Blows(installation, _SEED)
    began_s = time.monotonic()
    try:
        while time.monotonic() < began_s + _LASTING_S:
            blows.strike()
            time.sleep(_BETWEEN_S)
    finally:
        crowd.stop()
    last_s = time.monotonic()
    until(lambda: not any(crowd.unended()), within_s=_ENDED_WITHIN_S * slack)
    ended_s = time.monotonic()
    for customer in crowd.customers:
        customer.assert_right()
    tally = httpx.get(f"{sandbox_url}/_sandbox/hubspot").json()
    pushed = sum(customer.pushed for customer in crowd.customers)
    assert (tally["companies"], tally["contacts"]) == (pushed, pushed)
    audit = installation.ask("audit")
    assert (audit.returncode, audit.stdout) == (0, "every promise holds\n")
    assert crowd.faults == []
    jobs = sum(len(customer.jobs) for customer in crowd.customers)
    with capsys.disabled():
        print(f" {len(blows.done)} blows, {len(crowd.customers)} customers, ", end="")
        print(f"{jobs} jobs, ended {ended_s - last_s:.1f} s after the last ", end="")


def _load_directory(installation: Installation) -> None:
    path = installation.home.parent / "directory.jsonl"
    path.write_bytes(b"\n".join(directory_lines(PERSONS)))
    loaded = installation.ask("directory", "load", str(path))
    assert loaded.returncode == 0, loaded.stderr
