"""HubSpot's CRM: an account with contacts and companies that requests change."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from worker.infrastructure.clock import monotonic_s
from worker.sandbox import oauth_server
from worker.sandbox.fault_injection import mangled, refused
from worker.sandbox.hubspot import inspection
from worker.sandbox.hubspot.batches import Batch, inputs_of, read, rows_of, write
from worker.sandbox.hubspot.limits import Limits
from worker.sandbox.hubspot.portal import (
    TYPE_IDS,
    USUAL,
    Objects,
    Portal,
    Record,
    StaticList,
    defined,
    is_group,
    normal,
)
from worker.sandbox.hubspot.refusals import PORTAL_ID, Refusal, malformed
from worker.sandbox.hubspot.single_records import (
    SingleRecords,
    json_of,
    number_of,
    paging,
)
from worker.sandbox.oauth_server import Grants
from worker.sandbox.unspoken import Unspoken, only
from worker.sandbox.vendor_behaviour import Fault, Refusals, Vendor

_Handler = Callable[[web.Request], Awaitable[web.Response]]

_REVOKED, _UNSCOPED = "revoked", "unscoped"
"""Tokens that are not taken, and that may do nothing."""
_ASSOCIATIONS_MAX = 2_000
_SEARCHED_MAX, _SEARCHED_USUALLY = 200, 10
_OWNERS_MAX, _OWNERS_USUALLY = 500, 100
_CONTACT_TO_COMPANY, _COMPANY_TO_CONTACT = 279, 280
_ROOT = "/hubspot"
_SEARCH = ("filterGroups", "limit", "after", "properties")
_PROPERTY = (
    *("name", "label", "type", "fieldType", "groupName", "description", "options"),
    *("displayOrder", "hasUniqueValue", "hidden", "formField"),
)
_DATED = "2026-03"
_TYPE = "{type:contacts|companies}"


class _HubSpot:
    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.portal = Portal()
        self.single = SingleRecords(vendor, self.portal)
        self.limits = Limits(vendor)
        self.grants = Grants()
        self.paths: Counter[str] = Counter()
        vendor.report = self.report

    def report(self) -> dict[str, Any]:
        """What there is in the account, and what was asked of it."""
        objects = self.portal.objects
        return {
            type_: sum(1 for _ in one.alive()) for type_, one in objects.items()
        } | {
            "associations": len(self.portal.associations),
            "times": self.limits.times,
            "refused": self.limits.refused,
            "paths": dict(self.paths),
            "refreshes": self.grants.refreshes,
            "reused": self.grants.reused,
        }

    def served(self, handler: _Handler, query: str) -> _Handler:
        """The handler behind what comes before it: the token, and the limits.

        `query` names the parameters that it looks at.
        """

        async def serve(request: web.Request) -> web.Response:
            path = request.path.removeprefix(_ROOT)
            self.paths[f"{request.method} {path}"] += 1
            try:
                _authorize(request, self.grants)
                if self.vendor.take_fault(Fault.RATE_LIMITED):
                    raise self.limits.refusal("TEN_SECONDLY_ROLLING")
                self.limits.take(is_search=path.endswith("/search"))
                only(request.query, query.split())
                response = await handler(request)
            except Refusal as refusal:
                response = refused(refusal.status, refusal.body())
            response.headers.update(self.limits.headers())
            return response

        return serve

    def objects(self, request: web.Request) -> Objects:
        return self.portal.objects[request.match_info["type"]]

    async def properties(self, request: web.Request) -> web.Response:
        known = self.objects(request).properties
        return web.json_response({"results": list(known.values())})

    async def define(self, request: web.Request) -> web.Response:
        objects, given = self.objects(request), await json_of(request, *_PROPERTY)
        needed = ("name", "label", "type", "fieldType", "groupName")
        if lacking := [name for name in needed if not given.get(name)]:
            raise malformed(f"Some required fields were not set: {lacking}")
        if not is_group(objects.type, given["groupName"]):
            raise malformed(f"Property group {given['groupName']} does not exist")
        if given["name"] in objects.properties:
            message = f"A property named '{given['name']}' already exists."
            raise Refusal(409, "OBJECT_ALREADY_EXISTS", message)
        objects.properties[given["name"]] = defined(given)
        return web.json_response(objects.properties[given["name"]], status=201)

    async def upsert(self, request: web.Request) -> web.Response:
        return await self._write(request, creates=True)

    async def update(self, request: web.Request) -> web.Response:
        return await self._write(request, creates=False)

    async def _write(self, request: web.Request, *, creates: bool) -> web.Response:
        rows = rows_of(await json_of(request, "inputs"))
        return self._answer(
            write(
                self.objects(request),
                rows,
                creates=creates,
                refusals=self.vendor.behaviour.refusals,
            )
        )

    async def read(self, request: web.Request) -> web.Response:
        return self._answer(read(self.objects(request), await json_of(request)))

    def _answer(self, batch: Batch) -> web.Response:
        batch = batch._replace(results=mangled(self.vendor, batch.results))
        return web.json_response(batch.body(), status=batch.status)

    async def search(self, request: web.Request) -> web.Response:
        body = await json_of(request, *_SEARCH)
        if self.vendor.behaviour.is_too_common(str(body)):
            raise malformed("There was a problem with the request: too many results")
        limit = body.get("limit", _SEARCHED_USUALLY)
        if not 1 <= limit <= _SEARCHED_MAX:
            raise malformed(f"limit must be between 1 and {_SEARCHED_MAX}")
        indexed_s = monotonic_s() - self.vendor.behaviour.lag_ms / 1_000
        found = [
            record
            for record in self.objects(request).alive()
            if record.changed_s <= indexed_s and _is_found(record, body)
        ]
        start, usual = int(body.get("after") or 0), USUAL[self.objects(request).type]
        page = found[start : start + limit]
        answer: dict[str, Any] = {
            "total": len(found),
            "results": [one.shown(body.get("properties") or usual) for one in page],
        }
        return web.json_response(answer | paging(start + limit, len(found)))

    async def associate(self, request: web.Request) -> web.Response:
        contacts, companies = self.portal.objects.values()
        pairs: list[tuple[str, str]] = []
        refusals: list[Refusal] = []
        for one in inputs_of(await json_of(request), _ASSOCIATIONS_MAX):
            pair = (one["from"]["id"], one["to"]["id"])
            if contacts.get(pair[0]) is None:
                refusals.append(_no_such("CONTACT", pair[0]))
            elif companies.get(pair[1]) is None:
                refusals.append(_no_such("COMPANY", pair[1]))
            else:
                pairs.append(pair)
        if refusals and self.vendor.behaviour.refusals is Refusals.WHOLE:
            raise refusals[0]
        self.portal.associations.update(pairs)
        results = [
            association
            for contact, company in mangled(self.vendor, pairs)
            for association in (
                _associated(contact, company, _CONTACT_TO_COMPANY),
                _associated(company, contact, _COMPANY_TO_CONTACT),
            )
        ]
        batch = Batch(results, [refusal.of_row() for refusal in refusals])
        return web.json_response(batch.body(), status=batch.status)

    async def owners(self, request: web.Request) -> web.Response:
        limit = number_of(request, "limit", _OWNERS_USUALLY)
        if not 1 <= limit <= _OWNERS_MAX:
            raise malformed(f"limit must be between 1 and {_OWNERS_MAX}")
        email = request.query.get("email", "").lower()
        found = [one for one in self.portal.owners if email in {"", one["email"]}]
        start = number_of(request, "after", 0)
        answer = {"results": found[start : start + limit]}
        return web.json_response(answer | paging(start + limit, len(found)))

    async def make_list(self, request: web.Request) -> web.Response:
        given = await json_of(request, "objectTypeId", "name", "processingType")
        type_id, name = given.get("objectTypeId"), given.get("name")
        if type_id not in TYPE_IDS.values() or not name:
            raise malformed("Some required fields were not set: [objectTypeId, name]")
        if self.portal.list_named(type_id, name) is not None:
            raise malformed(f"A list with the name '{name}' already exists")
        made = StaticList(
            self.portal.new_list_id(), type_id, name, str(given.get("processingType"))
        )
        self.portal.lists[made.id] = made
        return web.json_response({"list": made.shown()})

    async def find_list(self, request: web.Request) -> web.Response:
        found = self.portal.list_named(
            request.match_info["type_id"], request.match_info["name"]
        )
        if found is None:
            raise Refusal(404, "OBJECT_NOT_FOUND", "List does not exist")
        return web.json_response({"list": found.shown()})

    async def remove_list(self, request: web.Request) -> web.Response:
        if self.portal.lists.pop(request.match_info["id"], None) is None:
            raise Refusal(404, "OBJECT_NOT_FOUND", "List does not exist")
        return web.Response(status=204)

    async def add_to_list(self, request: web.Request) -> web.Response:
        there = self.portal.lists.get(request.match_info["id"])
        if there is None:
            raise Refusal(404, "OBJECT_NOT_FOUND", "List does not exist")
        if there.processing not in {"MANUAL", "SNAPSHOT"}:
            raise malformed("Memberships of a list with filters cannot be edited")
        ids = [str(one) for one in await json_of(request)]
        (objects,) = (
            one for one in self.portal.objects.values() if one.type_id == there.type_id
        )
        missing = [one for one in ids if objects.get(one) is None]
        added = [one for one in ids if one not in there.members and one not in missing]
        there.members.update(added)
        return web.json_response(
            {
                "recordIdsRemoved": [],
                "recordsIdsAdded": added,
                "recordIdsMissing": missing,
            }
        )

    async def details(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(
            {
                "portalId": PORTAL_ID,
                "accountType": "STANDARD",
                "timeZone": "Europe/Brussels",
                "companyCurrency": "EUR",
                "additionalCurrencies": [],
                "utcOffset": "+01:00",
                "utcOffsetMilliseconds": 3_600_000,
                "uiDomain": "app.hubspot.com",
                "dataHostingLocation": "eu1",
            }
        )

    # What somebody sees and does on the screen, for tests.


def routes(vendor: Vendor) -> list[web.RouteDef]:
    """What HubSpot answers to, and how tests look at its records."""
    served = _HubSpot(vendor)
    api = [one for version in ("v3", _DATED) for one in _api(served, version)]
    return [
        *oauth_server.routes(vendor, "hubspot", served.grants),
        *(
            # HubSpot takes a slash at the end, and its own client sends some.
            web.route(method, f"{_ROOT}{path}{{end:/?}}", served.served(handler, query))
            for method, path, handler, query in api
        ),
        *inspection.routes(served.portal),
    ]


def _api(served: _HubSpot, version: str) -> list[tuple[str, str, _Handler, str]]:
    """What a version answers to; a number stands before the family, a date behind."""

    def of(family: str, numbered: str = version) -> str:
        if version == _DATED:
            return f"/crm/{family}/{version}"
        return f"/crm/{numbered}/{family}"

    one, lists = served.single, of("lists")
    objects, properties = f"{of('objects')}/{_TYPE}", f"{of('properties')}/{_TYPE}"
    associations = of("associations", "v4")
    associate = f"{associations}/contacts/companies/batch/associate/default"
    named = f"{lists}/object-type-id/{{type_id}}/name/{{name}}"
    return [
        ("GET", properties, served.properties, ""),
        ("GET", f"{properties}/{{name}}", one.property, ""),
        ("POST", properties, served.define, ""),
        ("POST", f"{objects}/batch/create", one.create_many, ""),
        ("POST", f"{objects}/batch/upsert", served.upsert, ""),
        ("POST", f"{objects}/batch/update", served.update, ""),
        ("POST", f"{objects}/batch/read", served.read, ""),
        ("POST", f"{objects}/batch/archive", one.archive_many, ""),
        ("POST", f"{objects}/search", served.search, ""),
        ("GET", objects, one.page, "limit after properties"),
        ("POST", objects, one.create, ""),
        ("GET", f"{objects}/{{id}}", one.show, "properties idProperty"),
        ("PATCH", f"{objects}/{{id}}", one.change, "idProperty"),
        ("DELETE", f"{objects}/{{id}}", one.archive, ""),
        ("POST", associate, served.associate, ""),
        ("GET", of("owners"), served.owners, "limit after email"),
        ("GET", f"{of('owners')}/{{id}}", one.owner, ""),
        ("POST", lists, served.make_list, ""),
        ("GET", named, served.find_list, ""),
        ("GET", f"{lists}/{{id}}", one.list, ""),
        ("DELETE", f"{lists}/{{id}}", served.remove_list, ""),
        ("PUT", f"{lists}/{{id}}/memberships/add", served.add_to_list, ""),
        ("GET", f"/account-info/{version}/details", served.details, ""),
    ]


def told(status: int, code: str, words: str) -> web.Response:
    """An error of HubSpot's."""
    return refused(status, Refusal(status, code.upper(), words).body())


def _authorize(request: web.Request, grants: Grants) -> None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if (
        scheme.lower() != "bearer"
        or token.strip() in {"", _REVOKED}
        or not grants.accepts(token.strip())
    ):
        raise Refusal(
            401,
            "INVALID_AUTHENTICATION",
            "Authentication credentials not found. This API supports OAuth 2.0 "
            "authentication",
        )
    if token.strip() == _UNSCOPED:
        raise Refusal(
            403,
            "MISSING_SCOPES",
            "This app hasn't been granted all required scopes to make this call.",
        )


def _is_found(record: Record, body: Mapping[str, Any]) -> bool:
    """Whether all filters of one of the groups let a record through."""
    groups = body.get("filterGroups") or []
    return not groups or any(
        all(_lets_through(record, one) for one in group.get("filters", []))
        for group in groups
    )


def _lets_through(record: Record, given: Mapping[str, Any]) -> bool:
    name = given["propertyName"]
    values: dict[str, list[str]] = {
        "EQ": [given.get("value", "")],
        "IN": given.get("values", []),
    }
    only(given, ("propertyName", "operator", "value", "values"))
    if given.get("operator") not in values:
        raise Unspoken(
            f"the sandbox does not know the operator {given.get('operator')}"
        )
    wanted = {normal(name, value) for value in values[given["operator"]]}
    return record.value(name) in wanted


def _associated(from_id: str, to_id: str, type_id: int) -> dict[str, Any]:
    return {
        "from": {"id": from_id},
        "to": {"id": to_id},
        "associationSpec": {
            "associationCategory": "HUBSPOT_DEFINED",
            "associationTypeId": type_id,
        },
    }


def _no_such(what: str, object_id: str) -> Refusal:
    return Refusal(
        400,
        "VALIDATION_ERROR",
        "One or more associations are invalid",
        context={
            "INVALID_OBJECT_IDS": [f"{what}={object_id} is not valid"],
            "objectId": [object_id],
            "objectType": [what],
        },
    )
