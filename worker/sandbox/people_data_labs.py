"""People Data Labs' bulk enrichment."""

import json
from typing import Any

from aiohttp import web

from worker.infrastructure.clock import end_of_minute
from worker.sandbox.fault_injection import mangled, refused
from worker.sandbox.people import company_of, contact_of, key_of
from worker.sandbox.unspoken import Unspoken, only
from worker.sandbox.vendor_behaviour import Fault, Vendor

_REQUESTS_MAX = 100
_REQUESTS_A_MINUTE = 1_000
_LIMITED_S = 10.0
"""At least, whatever the second of the minute: a try must always come out the same."""
_OK, _NOT_FOUND = 200, 404
_REFUSALS = {
    Fault.RATE_LIMITED: (429, "rate_limit_error", "The limit of a minute is reached."),
    Fault.OUT_OF_CREDITS: (402, "payment_required", "The credits are used up."),
}
_FIELDS = ("work_email", "mobile_phone")
_SHOWN = {*_FIELDS, "full_name", "job_company_name"}
_PARAMS = ("first_name", "last_name", "company", "website", "required", "data_include")


def routes(vendor: Vendor) -> list[web.RouteDef]:
    """What People Data Labs answers to."""

    async def bulk(request: web.Request) -> web.Response:
        if not request.headers.get("X-Api-Key"):
            return _error(401, "authentication_error", "The API key is missing.")
        if fault := vendor.take_fault(*_REFUSALS):
            refusal = _error(*_REFUSALS[fault])
            refusal.headers.update(_limits(remaining=0))
            return refusal
        given = await request.json()
        only(request.query, ())
        only(given, ("requests",))
        asked = given.get("requests")
        if not isinstance(asked, list) or not 1 <= len(asked) <= _REQUESTS_MAX:
            return _error(400, "invalid_request_error", "1 to 100 requests are taken.")
        for one in asked:
            _check(one)
        results = mangled(vendor, [_result(vendor, one) for one in asked])
        matches = sum(result["status"] == _OK for result in results)
        headers = {
            "x-call-credits-spent": str(matches),
            "x-call-credits-type": "enrich",
        }
        headers |= _limits(remaining=_REQUESTS_A_MINUTE - 1)
        return web.json_response(results, headers=headers)

    return [web.post("/people_data_labs/v5/person/bulk", bulk)]


def told(status: int, code: str, words: str) -> web.Response:
    """An error of People Data Labs'."""
    return _error(status, code, words)


def _check(asked: dict[str, Any]) -> None:
    """Raise `Unspoken` where a request asks for what is not looked at here."""
    only(asked, ("params", "metadata"))
    params = asked["params"]
    only(params, _PARAMS)
    wanted = {*params.get("required", _FIELDS[0]).split(" OR ")}
    shown = {*params.get("data_include", _FIELDS[0]).split(",")}
    if unknown := (wanted | shown) - _SHOWN:
        raise Unspoken(f"the sandbox does not know {', '.join(sorted(unknown))}")


def _limits(*, remaining: int) -> dict[str, str]:
    """The headers on limits: JSON a window, and when the minute ends."""
    limit, left = (
        json.dumps({"minute": count, "day": None, "month": None})
        for count in (_REQUESTS_A_MINUTE, remaining)
    )
    return {
        "x-ratelimit-limit": limit,
        "x-ratelimit-remaining": left,
        "x-ratelimit-reset": end_of_minute(least_s=_LIMITED_S).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        ),
    }


def _result(vendor: Vendor, asked: dict[str, Any]) -> dict[str, Any]:
    params = asked["params"]
    first, last = params.get("first_name", ""), params.get("last_name", "")
    company = company_of(params, "company", "website")
    contact = contact_of(first, last, company, hit_rate=vendor.behaviour.hit_rate)
    vendor.asked[key_of(first, last, company)] += 1
    data = {
        "full_name": f"{first} {last}".lower(),
        "work_email": contact.email,
        "mobile_phone": contact.phone,
        "job_company_name": company,
    }
    if "data_include" in params:
        shown = params["data_include"].split(",")
        data = {name: data.get(name) for name in shown}
    wanted = params.get("required", " OR ".join(_FIELDS)).split(" OR ")
    back = {"metadata": asked["metadata"]} if "metadata" in asked else {}
    if not any(data.get(name) for name in wanted):
        error = {"type": "not_found", "message": "No records were found."}
        return {"status": _NOT_FOUND, "error": error, **back}
    vendor.charged += 1
    return {"status": _OK, "likelihood": 9, "data": data, **back}


def _error(status: int, kind: str, message: str) -> web.Response:
    error = {"type": kind, "message": message}
    return refused(status, {"status": status, "error": error})
