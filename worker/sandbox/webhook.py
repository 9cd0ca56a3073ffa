"""A customer's endpoint: it verifies signatures, and keeps what it was not sent yet."""

import hashlib
import hmac
from collections import Counter
from typing import Any

from aiohttp import web

from worker.sandbox.vendor_behaviour import Fault, Vendor

SECRET = "sandbox-signing-secret"  # noqa: S105 - of nothing real


class _Endpoint:
    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._records: dict[str, dict[str, Any]] = {
            "push.companies": {},
            "push.persons": {},
        }
        self._batches: Counter[str] = Counter()
        self._unsigned = 0
        vendor.report = self.report

    def report(self) -> dict[str, Any]:
        """What it was sent."""
        return {
            "companies": len(self._records["push.companies"]),
            "contacts": len(self._records["push.persons"]),
            "batches": len(self._batches),
            "again": sum(self._batches.values()) - len(self._batches),
            "unsigned": self._unsigned,
        }

    async def receive(self, request: web.Request) -> web.Response:
        """Take a message, and answer as it is to behave."""
        body = await request.read()
        if not _is_signed(request.headers.get("Holdfast-Signature", ""), body):
            self._unsigned += 1
            return web.Response(status=401)
        message = await request.json()
        if message["type"] == "push.ping":
            return web.Response(status=204)
        self._batches[message["id"]] += 1
        kept = self._records.get(message["type"])
        if kept is not None and self._batches[message["id"]] == 1:
            kept |= {one["id"]: one for one in message["data"]["records"]}
        if self._vendor.take_fault(Fault.REFUSED):
            return web.Response(status=422, text="we do not like this")
        if self._vendor.take_fault(Fault.RATE_LIMITED):
            return web.Response(status=429)
        return web.Response(status=204)

    async def show(self, request: web.Request) -> web.Response:
        """What it was sent of one kind."""
        kind = request.query.get("type", "contacts")
        types = {"contacts": "push.persons", "companies": "push.companies"}
        return web.json_response(list(self._records[types[kind]].values()))


def routes(vendor: Vendor) -> list[web.RouteDef]:
    """The endpoint, and how tests look at what it was sent."""
    endpoint = _Endpoint(vendor)
    return [
        web.post("/webhook", endpoint.receive),
        web.get("/_sandbox/webhook/records", endpoint.show),
    ]


def told(status: int, code: str, words: str) -> web.Response:
    """An error of a customer's own, in no shape that anybody looks at."""
    return web.Response(status=status, text=f"{code}: {words}")


def _is_signed(header: str, body: bytes) -> bool:
    said = dict(part.partition("=")[::2] for part in header.split(","))
    signed = f"{said.get('t', '')}.".encode() + body
    right = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(said.get("v1", ""), right)
