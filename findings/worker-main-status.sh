#!/usr/bin/env bash
# Celery: `app.worker_main` (and `app.start`) lose the worker's exit status. They wait for
# click to raise `Exit`; told `standalone_mode=False`, click catches it and returns the code.
set -uo pipefail

folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install -qq "celery[redis]==5.7.0" click==8.5.1 redis==8.1.0 || exit 2

# A broker that is down, and a worker told not to wait for it.
cat >"$folder/shown.py" <<'PYTHON'
from celery import Celery

app = Celery("shown", broker="redis://127.0.0.1:1/0")
app.conf.broker_connection_retry_on_startup = False
PYTHON
cat >"$folder/call.py" <<'PYTHON'
import sys

from shown import app

answer = getattr(app, sys.argv[1])(["worker", *sys.argv[2:]])
with open("answer", "w") as file:  # Celery has standard output by now
    file.write(f"returned {answer}, ")
PYTHON

cd "$folder" || exit 2
options=(--pool=solo --loglevel=critical --hostname=shown@localhost)

# `ended COMMAND...`: what it returned, where it has a caller, and its exit status.
ended() {
    : >answer
    timeout 60 "$@" >log 2>&1
    local status=$?
    grep -q "Shutting down" log || { cat log >&2; echo "did not run"; return; }
    echo "$(cat answer)exit status $status"
}

command_line=$(ended venv/bin/celery -A shown worker "${options[@]}")
worker_main=$(ended venv/bin/python call.py worker_main "${options[@]}")
start=$(ended venv/bin/python call.py start "${options[@]}")

echo "version   celery 5.7.0 with click 8.5.1"
echo "expected  a worker that gives up on its broker answers 1, however it was started"
echo "seen      celery worker: $command_line"
echo "seen      app.worker_main: $worker_main"
echo "seen      app.start: $start"
echo "matters   Whoever starts workers from a script of their own looks to a supervisor as"
echo "          ended well: 'restart on failure' never restarts a worker that lost its broker."

[[ "$command_line$worker_main$start" == *"did not run"* ]] && exit 2
[[ $command_line == "exit status 1" ]] || exit 1
[[ $worker_main == "returned None, exit status 0" && $start == "$worker_main" ]] || exit 1
