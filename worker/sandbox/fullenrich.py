"""FullEnrich's bulk enrichment: submit, then webhook or poll."""

import asyncio
import hashlib
import hmac
import json
import uuid
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from worker.sandbox.fault_injection import mangled, refused
from worker.sandbox.people import Contact, company_of, contact_of, key_of
from worker.sandbox.unspoken import Unspoken, only
from worker.sandbox.vendor_behaviour import Fault, Vendor

_CONTACTS_MAX = 100
_CUSTOM_KEYS_MAX, _CUSTOM_CHARACTERS_MAX = 10, 100
_DELIVERIES_MAX = 6
_RETRY_S = 0.2
"""The vendor tries again each minute; here nobody wants to wait so long."""
_OK = range(200, 300)
_REFUSALS = {
    Fault.RATE_LIMITED: (429, "error.rate.limit", "Too many requests in a minute"),
}
_STATUSES = {
    "valid": "DELIVERABLE",
    "accept_all": "CATCH_ALL",
    "unknown": "HIGH_PROBABILITY",
    "invalid": "INVALID",
}
_PAID = {"DELIVERABLE", "CATCH_ALL", "HIGH_PROBABILITY"}
_WORKING, _SHORT = "IN_PROGRESS", "CREDITS_INSUFFICIENT"
_EMAIL, _PHONE = "contact.work_emails", "contact.phones"
_ASKED = (
    *("first_name", "last_name", "domain", "company_name"),
    *("enrich_fields", "custom"),
)
_BULK = "/fullenrich/api/v2/contact/enrich/bulk"


@dataclass(slots=True)
class _Enrichment:
    id: str
    key: str
    contacts: list[dict[str, Any]]
    webhook_url: str | None
    answer: dict[str, Any]

    @property
    def is_short(self) -> bool:
        """Whether the credits ran out while it was worked on."""
        return bool(self.answer["status"] == _SHORT)


class _FullEnrich:
    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.enrichments: dict[str, _Enrichment] = {}
        self.working: set[asyncio.Task[None]] = set()

    async def submit(self, request: web.Request) -> web.Response:
        key = _key(request)
        if not key:
            return _error(401, "error.authorization.not_set", "There is no key")
        if fault := self.vendor.take_fault(*_REFUSALS):
            return _error(*_REFUSALS[fault])
        body = await request.json()
        contacts = body.get("data") or []
        only(request.query, ("silentFail",))
        only(body, ("name", "data", "webhook_url"))
        for one in contacts:
            _check(one)
        faulty = [code for one in contacts if (code := _fault_of(one))]
        if request.query.get("silentFail") == "true":
            contacts = [one for one in contacts if not _fault_of(one)]
        elif faulty:
            return _error(400, faulty[0], "A contact is not as it should be")
        if not 1 <= len(contacts) <= _CONTACTS_MAX:
            return _error(400, "error.enrichment.data.empty", "Data is empty")
        vendor_id = str(uuid.uuid4())
        answer = {"id": vendor_id, "name": body.get("name"), "status": _WORKING}
        enrichment = _Enrichment(
            vendor_id, key, contacts, body.get("webhook_url"), answer | {"data": []}
        )
        self.enrichments[vendor_id] = enrichment
        task = asyncio.create_task(self._work(enrichment))
        self.working.add(task)
        task.add_done_callback(self.working.discard)
        return web.json_response({"enrichment_id": vendor_id})

    async def poll(self, request: web.Request) -> web.Response:
        only(request.query, ())
        enrichment = self.enrichments.get(request.match_info["id"])
        if enrichment is None or _key(request) != enrichment.key:
            return _error(404, "error.enrichment.not_found", "There is no such id")
        if enrichment.answer["status"] == _WORKING:
            return _error(400, "error.enrichment.in_progress", "It is not ready yet")
        status = 402 if enrichment.is_short else 200
        return web.json_response(enrichment.answer, status=status)

    async def _work(self, enrichment: _Enrichment) -> None:
        vendor = self.vendor
        await asyncio.sleep(vendor.behaviour.finish_ms / 1_000)
        enrichment.answer = self._finished(enrichment)
        fault = vendor.take_fault(Fault.WEBHOOK_TWICE, Fault.WEBHOOK_NEVER)
        if enrichment.webhook_url and fault is not Fault.WEBHOOK_NEVER:
            for _ in range(2 if fault is Fault.WEBHOOK_TWICE else 1):
                await _deliver(enrichment)

    def _finished(self, enrichment: _Enrichment) -> dict[str, Any]:
        vendor, contacts = self.vendor, enrichment.contacts
        short = vendor.take_fault(Fault.OUT_OF_CREDITS) is not None
        paid_for = len(contacts) // 2 if short else len(contacts)
        before = vendor.charged
        results = [
            _result(vendor, contact) if place < paid_for else _echo(contact)
            for place, contact in enumerate(contacts)
        ]
        return enrichment.answer | {
            "status": _SHORT if short else "FINISHED",
            "cost": {"credits": int(vendor.charged - before)},
            "data": mangled(vendor, results),
        }


def routes(vendor: Vendor) -> list[web.RouteDef]:
    """What FullEnrich answers to."""
    served = _FullEnrich(vendor)
    return [web.post(_BULK, served.submit), web.get(f"{_BULK}/{{id}}", served.poll)]


def told(status: int, code: str, words: str) -> web.Response:
    """An error of FullEnrich's."""
    return _error(status, f"error.{code}", words)


def _check(contact: dict[str, Any]) -> None:
    """Raise `Unspoken` where a contact asks for what is not looked at here."""
    only(contact, _ASKED)
    if unknown := {*contact.get("enrich_fields", ())} - {_EMAIL, _PHONE}:
        raise Unspoken(f"the sandbox does not know {', '.join(sorted(unknown))}")


def _key(request: web.Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer").strip()


def _fault_of(contact: dict[str, Any]) -> str | None:
    """The code of what keeps a contact from being looked up."""
    custom = contact.get("custom", {})
    if len(custom) > _CUSTOM_KEYS_MAX:
        return "error.enrichment.custom.key.exceeded"
    if any(len(value) > _CUSTOM_CHARACTERS_MAX for value in custom.values()):
        return "error.enrichment.custom.value.exceeded"
    given = {
        "first_name": contact.get("first_name"),
        "last_name": contact.get("last_name"),
        "domain": company_of(contact, "domain", "company_name"),
        "enrich_fields": contact.get("enrich_fields"),
    }
    missing = (name for name, value in given.items() if not value)
    return next((f"error.enrichment.{name}.empty" for name in missing), None)


def _echo(asked: dict[str, Any]) -> dict[str, Any]:
    """What was asked, in the vendor's own names, and nothing found."""
    return {
        "input": {
            "first_name": asked["first_name"],
            "last_name": asked["last_name"],
            "company_domain": asked.get("domain", ""),
            "company_name": asked.get("company_name", ""),
        },
        "custom": asked.get("custom", {}),
        "contact_info": {},
    }


def _result(vendor: Vendor, asked: dict[str, Any]) -> dict[str, Any]:
    first, last = asked["first_name"], asked["last_name"]
    company = company_of(asked, "domain", "company_name")
    contact = contact_of(first, last, company, hit_rate=vendor.behaviour.hit_rate)
    vendor.asked[key_of(first, last, company)] += 1
    wanted = asked["enrich_fields"]
    found = _email(vendor, contact, wanted) | _phone(vendor, contact, wanted)
    return _echo(asked) | {"contact_info": found}


def _email(vendor: Vendor, contact: Contact, wanted: list[str]) -> dict[str, Any]:
    if _EMAIL not in wanted or contact.email is None:
        return {}
    status = _STATUSES[contact.email_status]
    vendor.charged += 1 if status in _PAID else 0
    found = {"email": contact.email, "status": status}
    return {"most_probable_work_email": found, "work_emails": [found]}


def _phone(vendor: Vendor, contact: Contact, wanted: list[str]) -> dict[str, Any]:
    if _PHONE not in wanted or contact.phone is None:
        return {}
    vendor.charged += 10
    found = {"number": contact.phone, "region": "US"}
    return {"most_probable_phone": found, "phones": [found]}


async def _deliver(enrichment: _Enrichment) -> None:
    """POST the result, signed by the key, until somebody takes it."""
    body = json.dumps(enrichment.answer).encode()
    signature = hmac.new(enrichment.key.encode(), body, hashlib.sha1).hexdigest()
    headers = {"X-Signature-SHA1": signature, "Content-Type": "application/json"}
    async with aiohttp.ClientSession() as session:
        for _ in range(_DELIVERIES_MAX):
            try:
                async with session.post(
                    str(enrichment.webhook_url), data=body, headers=headers
                ) as response:
                    if response.status in _OK:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(_RETRY_S)


def _error(status: int, code: str, message: str) -> web.Response:
    return refused(status, {"code": code, "message": message})
