"""The sandbox of vendors in a test: in a loop of its own, or in a process."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any
from urllib.request import urlopen

import httpx
from aiohttp import web

from worker.sandbox import Behaviour, make_sandbox


class Sandbox:
    """The vendors over HTTP, in a loop of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._runner = web.AppRunner(make_sandbox(), access_log=None)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result()

    async def _serve(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    def behave(self, vendor: str, **how: Any) -> None:
        """Have a vendor behave so from now on."""
        body = asdict(Behaviour(**({"hit_rate": 1.0, "latency_ms": 0} | how)))
        answer = httpx.put(f"{self.url}/_sandbox/{vendor}", json=body)
        assert answer.status_code == 200, answer.text

    def tally(self, vendor: str) -> dict[str, Any]:
        """What a vendor has done so far."""
        answer: dict[str, Any] = httpx.get(f"{self.url}/_sandbox/{vendor}").json()
        return answer

    def close(self) -> None:
        """Stop it."""
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Vendor:
    """One vendor of a sandbox that is a process of its own."""

    def __init__(self, url: str, name: str) -> None:
        self._url = f"{url}/_sandbox/{name}"

    def tally(self) -> dict[str, Any]:
        """What it has done so far."""
        with urlopen(self._url) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


@contextmanager
def sandbox_process(*words: str) -> Iterator[str]:
    """The URL of a sandbox that is a process of its own, started with these options."""
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "worker.cli", "sandbox", "--port", "0", *words],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().removeprefix("ready ").strip()
        finally:
            process.terminate()
