"""Pins, words and their erasure, and what becomes of a sealer that is killed."""

import json
import os
import signal
import subprocess
import sys
from contextlib import closing

import pytest
from sqlalchemy import text

from storage.finance.chain import erasures, runs
from storage.finance.chain.erasures import Erasure
from storage.licenses import licenses
from tests.finance.conftest import KEY, deps_of, seal
from tests.finance.test_chain import run
from tests.support.fleet import until
from tests.support.receivers import Reply, receiver
from worker.finance.chain import pins
from worker.finance.chain.pins import PinBroken
from worker.finance.chain.reason_erasure import erase_reasons
from worker.finance.chain.sealing_chore import SealingChore
from worker.finance.chain.verifier import verify
from worker.infrastructure.message_signatures import SIGNATURE


def _cut_off(house, n: int) -> None:
    """Take the runs from the n-th on away, as whoever rules the database can."""
    run(house.database, f"DELETE FROM chain_links WHERE run >= {n}")
    run(house.database, f"DELETE FROM chain_runs WHERE n >= {n}")


def test_each_run_is_pinned_in_the_file_of_the_home(house):
    heads = [seal(house).head.hex() for _ in range(3)]
    lines = (house.settings.home / "chain-heads.jsonl").read_text().splitlines()
    assert [json.loads(line)["head"] for line in lines] == heads
    found = verify(house)
    assert (found.pins, found.total) == (3, 0)


def test_a_chain_that_ends_before_its_pin_is_broken_and_not_sealed(house):
    seal(house)
    seal(house)
    _cut_off(house, 2)
    assert [one.what for one in verify(house).breaks] == [
        "was pinned, and the chain ends before it"
    ]
    with pytest.raises(PinBroken, match="ends before run 2"):
        seal(house)


def test_a_chain_with_another_head_than_was_pinned_is_broken(house):
    """Rows, seals and all were made anew, with the very key: the pin still tells."""
    seal(house)
    _cut_off(house, 1)
    run(house.database, "DELETE FROM chain_texts")
    run(house.database, "UPDATE transfers SET credits = 1 WHERE id = 1")
    path = pins.file_of(house.settings)
    kept = path.read_bytes()
    path.unlink()
    seal(house)
    assert verify(house).total == 0
    path.write_bytes(kept)
    with pytest.raises(PinBroken, match="another head"):
        seal(house)
    assert verify(house).breaks[0].what == "has another head than was pinned"


def test_a_pin_that_was_cut_off_while_it_was_written_counts_for_nothing(house):
    seal(house)
    with pins.file_of(house.settings).open("ab") as stream:
        stream.write(b'{"era": 0, "run": 99, "he')
    seal(house)
    assert verify(house).total == 0


def test_each_head_is_posted_where_a_url_is_set(broken_database, house, tmp_path):
    with receiver() as there:
        there.answer = lambda _: Reply(500)
        deps = deps_of(
            broken_database,
            tmp_path,
            chain_pin_url=there.url("/pins"),
            operator_webhook_secret="a secret for the pins",
            webhook_allow_private=True,
        )
        with closing(deps.database):
            head = seal(deps).head.hex()
            there.answer = lambda _: Reply()
            seal(deps)
    first, second = (json.loads(call.body) for call in there.calls)
    assert (first["type"], first["data"]["head"]) == ("chain.sealed", head)
    assert second["data"]["run"] == 2
    assert there.calls[0].headers[SIGNATURE].startswith("t=")


def _reason(house) -> str:
    with house.database.transaction() as connection:
        return str(connection.execute(text("SELECT reason FROM refunds")).scalar_one())


@pytest.mark.parametrize("sealed_before", [True, False])
def test_the_reasons_of_an_erased_persons_refunds_go_and_the_chain_holds(
    house, sealed_before
):
    if sealed_before:
        seal(house)
    assert erase_reasons(house, "p2", None) == 0
    assert erase_reasons(house, "p1", "blix") == 0
    assert erase_reasons(house, "p1", None) == 1
    assert _reason(house) == ""
    seal(house)
    with house.database.transaction() as connection:
        salts = connection.execute(
            text("SELECT salt FROM chain_texts WHERE table_name = 'refunds'")
        ).scalars()
        # Of what was erased before it was sealed there are no words to try.
        assert (list(salts) == [None]) is sealed_before
    found = verify(house)
    assert (found.total, found.erased) == (0, 1)
    assert erase_reasons(house, "p1", None) == 0


def test_words_that_were_changed_are_named_and_so_is_an_erasure_by_hand(house):
    seal(house)
    run(house.database, "UPDATE refunds SET reason = 'another one'")
    found = verify(house)
    assert [(one.table, one.what) for one in found.breaks] == [
        ("refunds", "its words are not those that were sealed")
    ]
    with house.database.transaction() as connection:
        charge_id = connection.execute(text("SELECT charge_id FROM refunds")).scalar()
        at = licenses.business_now(connection)
        erasure = Erasure("refunds", int(charge_id or 0), at, "a key", b"by hand")
        erasures.put(connection, erasure)
    assert [one.what for one in verify(house).breaks] == [
        "its words were erased, and not by this house"
    ]


_SEALS_AND_DIES = """
import os, signal, sys
from pathlib import Path
from worker.finance.chain import sealer
from worker.infrastructure.dependencies import bare
from worker.infrastructure.settings import Settings

def die(*_):
    print("reading", flush=True)
    signal.pause()

sealer.runs.put = die
url, home, key = sys.argv[1:]
sealer.seal(bare(Settings(database_url=url, home=Path(home), secret_keys=key)))
"""


def test_a_sealer_that_is_killed_leaves_nothing_half_sealed(house, tmp_path):
    url = house.database.url.render_as_string(hide_password=False)
    with subprocess.Popen(
        [sys.executable, "-c", _SEALS_AND_DIES, url, str(tmp_path), KEY],
        stdout=subprocess.PIPE,
    ) as sealer:
        assert sealer.stdout is not None
        assert sealer.stdout.readline() == b"reading\n"
        chore = SealingChore(house)
        chore.turn()
        chore.wait(30)
        with house.database.transaction() as connection:
            assert runs.last(connection) is None
        os.kill(sealer.pid, signal.SIGKILL)

    def is_sealed() -> bool:
        chore.turn()
        chore.wait(30)
        with house.database.transaction() as connection:
            return runs.last(connection) is not None

    until(is_sealed)
    seal(house)
    found = verify(house)
    assert (found.total, found.unsealed) == (0, 0)


def test_a_licenses_head_is_had_at_each_sealed_bound(house):
    first = seal(house)
    second = seal(house)
    with house.database.transaction() as connection:
        assert runs.sealed_bound(connection) == second.to_transaction
        then = runs.head_at(connection, "acme", first.to_transaction)
        now = runs.head_at(connection, "acme", second.to_transaction)
        assert runs.head_at(connection, "nobody", second.to_transaction) is None
        with pytest.raises(LookupError):
            runs.head_at(connection, "acme", second.to_transaction + 5)
    assert then == now
    assert then is not None
    assert (then.position, then.run) == (1, 1)
