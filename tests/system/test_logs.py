"""What processes log where JSON is asked for: all of them, and what runs in them."""

import json
import subprocess
import sys

from tests.support.fleet import assert_exact, load_persons, submit

_RECORDS = 60


def test_every_line_of_every_process_is_an_object_and_chunks_say_whose_they_are(fleet):
    load_persons(fleet.deps, _RECORDS)
    processes = fleet.start("worker", "dispatcher", LOG_FORMAT="json")
    job = submit(fleet.deps, 0, _RECORDS)
    assert_exact(fleet, job, 0, _RECORDS)
    for process in processes:
        process.terminate()
        process.wait(60)
    lines = [json.loads(line) for line in fleet.log().splitlines() if line]
    assert all(line.keys() >= {"at", "level", "logger", "message"} for line in lines)
    ran = [line for line in lines if line.get("job") == job and "chunk" in line]
    assert len({line["chunk"] for line in ran}) == 2
    assert {line["license"] for line in ran} == {"acme"}


def test_a_process_that_logs_for_people_has_loaded_nothing_for_json():
    code = """
import sys
from worker.infrastructure.telemetry.log_format import log_to_stderr
log_to_stderr("text")
print(any(name.startswith("pythonjsonlogger") for name in sys.modules))"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
