#!/usr/bin/env bash
# psycopg 3: a `connect_timeout` below one second is cut to 0, which means "not given": it
# waits for 130 s. libpq, which psycopg drives, refuses any fraction.
set -uo pipefail

folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install -qq "psycopg[binary]==3.3.9" || exit 2

cat >"$folder/show.py" <<'PYTHON'
import socket
import subprocess
import sys

from psycopg.pq import PGconn

BOUND_S = 10
CONNECT = """
import sys, psycopg
try:
    psycopg.connect(host="127.0.0.1", port=sys.argv[1], connect_timeout=float(sys.argv[2]))
except psycopg.Error as error:
    print(type(error).__name__)
"""


def tried(port, seconds):
    command = [sys.executable, "-c", CONNECT, str(port), seconds]
    try:
        done = subprocess.run(command, stdout=-1, text=True, timeout=BOUND_S)
    except subprocess.TimeoutExpired:  # the bound is ours: the process is ended here
        return f"waits for more than {BOUND_S} s"
    return done.stdout.strip() or sys.exit(2)


# A server that takes connections and never answers.
with socket.create_server(("127.0.0.1", 0)) as silent:
    port = silent.getsockname()[1]
    seen = {f"connect_timeout={s}": tried(port, s) for s in ("2", "1.5", "0.9")}
    refused = PGconn.connect(b"host=127.0.0.1 port=%d connect_timeout=0.9" % port)
    seen["libpq alone, 0.9"] = refused.error_message.decode().strip().rpartition("failed: ")[2]
for what, answer in seen.items():
    print(f"seen      {what}: {answer}")
*given_up, waiting, refusal = seen.values()
as_stated = given_up == ["ConnectionTimeout"] * 2 and waiting.startswith("waits")
sys.exit(not (as_stated and refusal.startswith("invalid integer value")))
PYTHON

echo "version   psycopg 3.3.9, binary"
echo "expected  0.9 s gives up no later than 1.5 s does (after 2 s, the least), or is refused"
"$folder/venv/bin/python" "$folder/show.py"
status=$?
echo "matters   Whoever shortens a time-out below a second, as a health check may, takes it"
echo "          away: the check then hangs on a silent server for more than two minutes."
exit $status
