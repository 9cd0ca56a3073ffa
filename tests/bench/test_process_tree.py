"""CPU and memory of a process are those of all below it."""

import subprocess
import sys

import pytest

from bench.installations.process_tree import (
    PeakMemory,
    cpu_by_role,
    memory_by_role,
    since,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")

_TREE = """
import subprocess, sys, time

SPIN = '''
import time
end = time.process_time() + 0.3
while time.process_time() < end: pass
'''
subprocess.run([sys.executable, "-c", SPIN])
child = subprocess.Popen(
    [sys.executable, "-c", SPIN + 'held = b"x" * (40 << 20)\\n'
     'print("ready", flush=True)\\nimport sys\\nsys.stdin.read()', "worker"],
    stdin=subprocess.PIPE,
)
sys.stdin.read()
child.stdin.close()
child.wait()
"""


def test_children_that_live_and_that_have_ended_count_each_by_its_role():
    with subprocess.Popen(
        [sys.executable, "-c", _TREE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        before = {"worker": 0.0}
        with PeakMemory(process.pid) as peak:
            assert process.stdout.readline() == "ready\n"
        used = since(cpu_by_role(process.pid), before)
        memory = memory_by_role(process.pid)
        assert used["worker"] >= 0.25
        assert used["up"] >= 0.25
        assert memory["worker"].processes == 1
        assert memory["worker"].pss_mib >= 40
        assert peak.largest_mib("worker") >= 40
        assert peak.all_mib("worker") == peak.largest_mib("worker")
        process.stdin.close()
        process.wait()


def test_a_process_that_is_gone_has_used_nothing():
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    assert cpu_by_role(process.pid) == {}
