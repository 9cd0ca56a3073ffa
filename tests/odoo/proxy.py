"""A real Odoo behind a proxy that can fail as the sandbox's vendors do."""

import asyncio
import json
import threading
from typing import Any

import aiohttp
from aiohttp import web

from worker.sandbox.fault_injection import disturbed
from worker.sandbox.vendor_behaviour import Behaviour, Fault, Vendor

_PASSED_ON = ("Authorization", "Content-Type", "X-Odoo-Database")


class OdooProxy:
    """Passes requests on, in a loop of its own; `behave` says what goes wrong."""

    def __init__(self, odoo_url: str) -> None:
        self._odoo_url = odoo_url
        self._vendor = Vendor()
        self._loop = asyncio.new_event_loop()
        app = web.Application(
            middlewares=[disturbed({"odoo": self._vendor})], client_max_size=1 << 26
        )
        app.router.add_route("*", "/odoo/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(app, access_log=None)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result()

    def behave(self, **how: Any) -> None:
        """Have Odoo behave so from now on."""
        self._vendor.behave(Behaviour(**how))

    @property
    def faults_left(self) -> int:
        """How many of the faults that it is to have are still to come."""
        return self._vendor.faults_left

    def close(self) -> None:
        """Stop it."""
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}/odoo"

    async def _pass_on(self, request: web.Request) -> web.Response:
        if self._vendor.take_fault(Fault.RATE_LIMITED):
            return web.json_response({"message": "slow down"}, status=429)
        asked = (await request.read()).decode()
        is_search = request.path.endswith("/search_read")
        if is_search and self._vendor.behaviour.is_too_common(asked):
            return web.json_response({"message": "too many records"}, status=422)
        headers = {n: request.headers[n] for n in _PASSED_ON if n in request.headers}
        path = request.match_info["path"]
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method,
                f"{self._odoo_url}/{path}",
                data=await request.read(),
                headers=headers,
            ) as reply,
        ):
            body, status = await reply.read(), reply.status
        if path.endswith("/load") and self._vendor.take_fault(Fault.FEWER):
            answer = json.loads(body)
            if answer.get("ids"):
                body = json.dumps(answer | {"ids": answer["ids"][:-1]}).encode()
        return web.Response(body=body, status=status, content_type="application/json")
