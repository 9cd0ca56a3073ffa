"""The supervisor: children beside each other, those that end, and the gate before."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fleet import until
from worker.embedded.errors import StartFailed
from worker.embedded.gate import Gate
from worker.embedded.home import open_home
from worker.embedded.locks import Locks
from worker.embedded.supervisor import Child, Kind, Supervisor


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    home = open_home(tmp_path / "home")
    with Locks(home.root).owned() as lock_fd:
        assert lock_fd is not None
        supervisor = Supervisor(home, lock_fd)
        yield supervisor
        supervisor.stop()


def _child(name: str, code: str, folder: Path, **given) -> Child:
    return Child(
        name=name,
        kind=Kind.WORK,
        argv=[sys.executable, "-c", code],
        env=dict(os.environ),
        stops=((signal.SIGTERM, 5),),
        cwd=folder,
        **given,
    )


_SLEEP = "import pathlib, sys, time; pathlib.Path({!r}).touch(); time.sleep(60)"


def test_children_that_are_started_together_do_not_wait_for_each_other(
    supervisor, tmp_path
):
    left, right = tmp_path / "left", tmp_path / "right"
    both = lambda: left.exists() and right.exists()  # noqa: E731 - what each waits for
    supervisor.start(
        _child("left", _SLEEP.format(str(left)), tmp_path, ready=both),
        _child("right", _SLEEP.format(str(right)), tmp_path, ready=both),
    )


def test_a_child_that_ends_says_so_and_is_not_started_again(supervisor, tmp_path):
    count = tmp_path / "count"
    code = f"open({str(count)!r}, 'a').write('x'); raise SystemExit(3)"
    child = _child("once", code, tmp_path)
    supervisor.launch(child)
    assert supervisor.end_of(child) == 3
    lives = _child("lives", _SLEEP.format(str(tmp_path / "up")), tmp_path)
    supervisor.start(lives)
    supervisor.watch()
    until((tmp_path / "up").exists)
    assert count.read_text() == "x"


def test_a_child_that_dies_before_it_serves_fails_the_start(supervisor, tmp_path):
    child = _child("dies", "raise SystemExit('why')", tmp_path, ready=lambda: False)
    with pytest.raises(StartFailed, match="why"):
        supervisor.start(child)


def test_what_a_child_that_is_heard_says_of_errors_reaches_us(tmp_path):
    code = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from tests.embedded.test_supervisor import _child
from worker.embedded.home import open_home
from worker.embedded.locks import Locks
from worker.embedded.supervisor import Supervisor
folder = Path({str(tmp_path)!r})
home = open_home(folder / "home")
with Locks(home.root).owned() as lock_fd:
    supervisor = Supervisor(home, lock_fd)
    child = _child("says", "raise SystemExit('aloud')", folder, heard=True)
    supervisor.launch(child)
    supervisor.end_of(child)
    supervisor.stop()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "aloud"


def test_whoever_waits_at_a_gate_goes_on_once_it_is_opened(supervisor, tmp_path):
    gate, there, past = Gate(), tmp_path / "there", tmp_path / "past"
    code = (
        f"import os, pathlib; pathlib.Path({str(there)!r}).touch(); "
        f"os.fdopen({gate.fd}).read(); pathlib.Path({str(past)!r}).touch()"
    )
    child = _child("waits", code, tmp_path, pass_fds=(gate.fd,))
    supervisor.launch(child)
    until(there.exists)
    assert not past.exists()
    gate.open()
    assert supervisor.end_of(child) == 0
    assert past.exists()
    # So does whoever comes later: a child that is started again.
    again = _child("again", code, tmp_path, pass_fds=(gate.fd,))
    supervisor.launch(again)
    assert supervisor.end_of(again) == 0
    gate.close()
