"""What vendors' answers have in common: delays, faults, and refusals."""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

from aiohttp import web

from worker.sandbox.vendor_behaviour import Fault, Vendor

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_SEED = 1
_BEGINNING_BYTES = 200


def disturbed(vendors: Mapping[str, Vendor]) -> Any:  # noqa: ANN401 - a middleware of aiohttp has no name
    """The middleware that delays each request to a vendor, and lets faults happen."""

    @web.middleware
    async def disturb(request: web.Request, handler: Handler) -> web.StreamResponse:
        vendor = vendors.get(request.path.split("/")[1])
        if vendor is None:
            return await handler(request)
        vendor.requests += 1
        await asyncio.sleep(vendor.behaviour.latency_ms / 1_000)
        match await _fault(vendor, request):
            case Fault.SERVER_ERROR:
                return web.Response(status=502, text="<html>bad gateway</html>")
            case Fault.GARBLED:
                return web.Response(text="<html>maintenance</html>")
            case Fault.BLOCKED:
                page = "<html>you have been blocked</html>"
                return web.Response(status=403, text=page, content_type="text/html")
            case Fault.SLOW:
                await asyncio.sleep(vendor.behaviour.slow_ms / 1_000)
                if request.transport is None:
                    # Nobody waits any more; what was never begun is not begun now.
                    raise web.HTTPServiceUnavailable
            case Fault.CUT:
                await handler(request)
                _cut(request)
        return await handler(request)

    return disturb


async def _fault(vendor: Vendor, request: web.Request) -> Fault | None:
    """What disturbs this request, if anything does."""
    pattern = vendor.behaviour.fault_on
    if pattern is not None:
        body = (await request.read())[:_BEGINNING_BYTES].decode(errors="replace")
        if not re.search(pattern, f"{request.method} {request.path} {body}"):
            return None
    disturbing = (Fault.SERVER_ERROR, Fault.SLOW, Fault.GARBLED, Fault.CUT)
    return vendor.take_fault(*disturbing, Fault.BLOCKED)


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
    raise web.HTTPServiceUnavailable


def mangled(vendor: Vendor, results: list[Any]) -> list[Any]:
    """The results, fewer or in another order where that fault is due."""
    match vendor.take_fault(Fault.FEWER, Fault.SHUFFLED):
        case Fault.FEWER:
            return results[:-1]
        case Fault.SHUFFLED:
            return random.Random(_SEED).sample(results, len(results))  # noqa: S311 - no secret
    return results


def refused(status: int, body: Mapping[str, Any]) -> web.Response:
    """A refusal in the vendor's own words."""
    return web.json_response(dict(body), status=status)


def tally(vendor: Vendor) -> dict[str, Any]:
    """What a vendor has done so far."""
    return {
        "requests": vendor.requests,
        "faults_left": vendor.faults_left,
        "persons": sum(vendor.asked.values()),
        "asked_twice": sum(count > 1 for count in vendor.asked.values()),
        "charged": str(vendor.charged.normalize() if vendor.charged else Decimal(0)),
        **vendor.report(),
    }
