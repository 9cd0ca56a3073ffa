"""The sandbox as one application, and the routes that steer it."""

from dataclasses import asdict

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from worker.sandbox import fullenrich, hunter, people_data_labs, webhook
from worker.sandbox.fault_injection import disturbed, tally
from worker.sandbox.hubspot import api as hubspot
from worker.sandbox.pipedrive import api as pipedrive
from worker.sandbox.salesforce import api as salesforce
from worker.sandbox.unspoken import in_their_words
from worker.sandbox.vendor_behaviour import Behaviour, Vendor

_VENDORS = {
    "hunter": hunter,
    "people_data_labs": people_data_labs,
    "fullenrich": fullenrich,
    "hubspot": hubspot,
    "pipedrive": pipedrive,
    "salesforce": salesforce,
    "webhook": webhook,
}
"""Each has `routes`, and says with `told` what it does not speak."""
_BEHAVIOUR = TypeAdapter(Behaviour)


def make_sandbox(behaviour: Behaviour | None = None) -> web.Application:
    """All vendors, each behaving so until told otherwise."""
    vendors = {name: Vendor() for name in _VENDORS}
    told = in_their_words({name: one.told for name, one in _VENDORS.items()})
    app = web.Application(middlewares=[told, disturbed(vendors)])
    for name, vendor in vendors.items():
        vendor.behave(behaviour or Behaviour())
        app.add_routes(_VENDORS[name].routes(vendor))
    app.add_routes(_control(vendors))
    return app


def _control(vendors: dict[str, Vendor]) -> list[web.RouteDef]:
    def named(request: web.Request) -> Vendor:
        try:
            return vendors[request.match_info["vendor"]]
        except KeyError as error:
            raise web.HTTPNotFound(text="there is no such vendor") from error

    async def steer(request: web.Request) -> web.Response:
        vendor = named(request)
        given = asdict(vendor.behaviour) | {"fault": None} | await request.json()
        try:
            vendor.behave(_BEHAVIOUR.validate_python(given))
        except ValidationError as error:
            raise web.HTTPUnprocessableEntity(text=str(error)) from error
        return web.json_response(asdict(vendor.behaviour))

    async def show(request: web.Request) -> web.Response:
        return web.json_response(tally(named(request)))

    return [
        web.put("/_sandbox/{vendor}", steer),
        web.get("/_sandbox/{vendor}", show),
    ]
