"""What processes log where JSON is asked for: all of them, and what runs in them."""

import json
import socket
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


def test_the_server_of_the_api_logs_as_all_others_do(fleet):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        fd, address = listening.fileno(), listening.getsockname()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "worker.cli", "api", "--fd", str(fd)],
            env=fleet._env | {"HOLDFAST_LOG_FORMAT": "json"},
            pass_fds=(fd,),
            stderr=subprocess.PIPE,
            text=True,
        )
        with socket.create_connection(address, timeout=60) as client:
            client.sendall(b"no request\r\n\r\n")
            client.recv(1000)
        process.terminate()
        _, told = process.communicate(timeout=60)
    (line,) = [json.loads(line) for line in told.splitlines()]
    assert line["logger"] == "uvicorn.error"
    assert "Invalid HTTP request" in line["message"]


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
