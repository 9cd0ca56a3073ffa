"""The sandbox as a command."""

import json
import signal
import subprocess
import sys
from urllib.request import urlopen


def test_the_sandbox_answers_until_it_is_stopped():
    words = ("sandbox", "--port", "0", "--latency-ms", "0", "--hit-rate", "1")
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "worker.cli", *words],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("ready ").strip()
        asked = "first_name=Ada&last_name=Lovelace&domain=engine.example&api_key=k"
        with urlopen(f"{url}/hunter/v2/email-finder?{asked}") as answer:
            found = json.load(answer)
        assert found["data"]["email"] == "ada.lovelace@engine.example"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
