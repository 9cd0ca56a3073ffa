"""The sandbox as a server, until TERM or Ctrl-C."""

import asyncio
import signal
from collections.abc import Callable

from aiohttp import web

from worker.sandbox.app import make_sandbox
from worker.sandbox.vendor_behaviour import Behaviour


async def serve(
    behaviour: Behaviour, host: str, port: int, *, ready: Callable[[str], None]
) -> None:
    """Serve; `ready` is told the URL once it is open."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(make_sandbox(behaviour), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        host, port = runner.addresses[0][:2]
        ready(f"http://{host}:{port}")
        await stop.wait()
    finally:
        await runner.cleanup()
