"""Hunter's e-mail finder and verifier."""

from decimal import Decimal
from typing import Any

from aiohttp import web

from worker.sandbox.fault_injection import refused
from worker.sandbox.people import company_of, contact_of, key_of
from worker.sandbox.unspoken import only
from worker.sandbox.vendor_behaviour import Fault, Vendor

_KEY = "X-API-KEY"
_WHO = ("api_key", "max_duration")
"""Parameters that ask for nothing else: the key, and how long one would wait."""
_REFUSALS = {
    Fault.RATE_LIMITED: (403, "rate_limit_reached", "You have reached the rate limit."),
    Fault.OUT_OF_CREDITS: (429, "usage_limit_reached", "The credits are used up."),
}


def routes(vendor: Vendor) -> list[web.RouteDef]:
    """What Hunter answers to."""

    async def find(request: web.Request) -> web.Response:
        if refusal := _refusal(vendor, request):
            return refusal
        given = request.query
        only(given, ("first_name", "last_name", "domain", "company", *_WHO))
        first, last = given.get("first_name", ""), given.get("last_name", "")
        company = company_of(given, "domain", "company")
        if not (first and last and company):
            return _error(400, "wrong_params", "A name or a company is missing.")
        return _found(vendor, first, last, company)

    async def verify(request: web.Request) -> web.Response:
        if refusal := _refusal(vendor, request):
            return refusal
        only(request.query, ("email", *_WHO))
        email = request.query.get("email", "")
        if vendor.take_fault(Fault.NOT_YET):
            return web.json_response({"data": {"email": email}}, status=202)
        vendor.charged += Decimal("0.5")
        return web.json_response(
            {"data": _verified(email), "meta": {"params": {"email": email}}}
        )

    return [
        web.get("/hunter/v2/email-finder", find),
        web.get("/hunter/v2/email-verifier", verify),
    ]


def told(status: int, code: str, words: str) -> web.Response:
    """An error of Hunter's."""
    return _error(status, code, words)


def _refusal(vendor: Vendor, request: web.Request) -> web.Response | None:
    if not request.headers.get(_KEY) and "api_key" not in request.query:
        return _error(401, "authentication_failed", "No valid API key was given.")
    fault = vendor.take_fault(*_REFUSALS)
    return _error(*_REFUSALS[fault]) if fault else None


def _verified(email: str) -> dict[str, Any]:
    """An address with a plus is at a server that takes any; all others are valid."""
    takes_any = "+" in email
    return {
        "status": "accept_all" if takes_any else "valid",
        "result": "risky" if takes_any else "deliverable",
        "score": 60 if takes_any else 95,
        "email": email,
        "regexp": True,
        "gibberish": False,
        "disposable": False,
        "webmail": False,
        "mx_records": True,
        "smtp_server": True,
        "smtp_check": True,
        "accept_all": takes_any,
        "block": False,
        "sources": [],
    }


def _found(vendor: Vendor, first: str, last: str, company: str) -> web.Response:
    contact = contact_of(first, last, company, hit_rate=vendor.behaviour.hit_rate)
    vendor.asked[key_of(first, last, company)] += 1
    if contact.objected:
        return _error(451, "claimed_email", "The person asked not to be processed.")
    vendor.charged += 1 if contact.email else 0
    data: dict[str, Any] = {
        "first_name": first,
        "last_name": last,
        "email": contact.email,
        "score": 95 if contact.email else None,
        "domain": company,
        "accept_all": contact.email_status == "accept_all",
        "position": None,
        "twitter": None,
        "linkedin_url": None,
        "phone_number": None,
        "company": company,
        "sources": [],
        "verification": {
            "date": "2026-01-01" if contact.email else None,
            "status": contact.email_status if contact.email else None,
        },
    }
    params = {"first_name": first, "last_name": last, "domain": company}
    return web.json_response({"data": data, "meta": {"params": params}})


def _error(status: int, code: str, details: str) -> web.Response:
    return refused(
        status, {"errors": [{"id": code, "code": status, "details": details}]}
    )
