"""Pipedrive: an account without upserts, with a search that lags and a token budget."""

import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from worker.infrastructure.clock import monotonic_s
from worker.sandbox import oauth_server
from worker.sandbox.oauth_server import Grants
from worker.sandbox.pipedrive.account import USERS, Account, Failed, Objects
from worker.sandbox.pipedrive.fields import described
from worker.sandbox.pipedrive.limits import Limits
from worker.sandbox.vendor_behaviour import Fault, Vendor

_Handler = Callable[[web.Request], Awaitable[web.Response]]

_ROOT = "/pipedrive"
_REVOKED, _UNSCOPED, _READER = "revoked", "unscoped", "reader"
_TYPES = {"contacts": "persons", "companies": "organizations"}
_MARKETING = "marketing_status"
_IDS_MAX, _PAGE_MAX = 100, 500


class _Pipedrive:
    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.grants = Grants()
        self.account = Account()
        self.limits = Limits(vendor)
        self.paths: Counter[str] = Counter()
        vendor.report = self.report

    def report(self) -> dict[str, Any]:
        """What there is in the account, and what was asked of it."""
        objects, limits = self.account.objects, self.limits
        return {
            "contacts": len(objects["persons"].alive()),
            "companies": len(objects["organizations"].alive()),
            "tokens": limits.tokens,
            "paths": dict(self.paths),
            "times": limits.times,
            "refused": limits.refused,
            "refreshes": self.grants.refreshes,
            "reused": self.grants.reused,
        }

    def served(self, handler: _Handler, tokens: int) -> _Handler:
        """The handler behind what comes before it: the token, the burst, the budget."""

        async def serve(request: web.Request) -> web.Response:
            self.paths[f"{request.method} {request.path.removeprefix(_ROOT)}"] += 1
            is_search = request.path.endswith("/search")
            try:
                _authorize(request, self.grants)
                self.limits.take(tokens, is_search=is_search)
                response = await handler(request)
            except Failed as failed:
                response = web.json_response(failed.body, status=failed.status)
                response.headers.update(failed.headers)
            for name, value in self.limits.headers(is_search=is_search).items():
                response.headers.setdefault(name, value)
            return response

        return serve

    def of(self, request: web.Request) -> Objects:
        return self.account.objects[request.match_info["type"]]

    async def me(self, request: web.Request) -> web.Response:
        del request
        id_, name, _ = USERS[0]
        about = {"id": id_, "name": name, "default_currency": "EUR"}
        return _ok(about | {"company_id": oauth_server.company_id(self.grants)})

    async def users(self, request: web.Request) -> web.Response:
        del request
        return _ok(
            [
                {"id": id_, "name": name, "email": email, "active_flag": True}
                for id_, name, email in USERS
            ]
        )

    async def list_fields(self, request: web.Request) -> web.Response:
        return _ok(self._fields_of(request), next_cursor=None)

    async def make_field(self, request: web.Request) -> web.Response:
        given = await request.json()
        if not given.get("field_name") or not given.get("field_type"):
            raise Failed(400, "field_name and field_type are required")
        code, type_ = secrets.token_hex(20), given["field_type"]
        made = described(given["field_name"], code, type_, is_custom=True)
        self._fields_of(request).append(made)
        return _ok(made)

    async def add_options(self, request: web.Request) -> web.Response:
        code = request.match_info["code"]
        (about,) = (
            one for one in self._fields_of(request) if one["field_code"] == code
        )
        first_id = max((one["id"] for one in about["options"]), default=0) + 1
        made = [
            {"id": id_, "label": given["label"]}
            for id_, given in enumerate(await request.json(), first_id)
        ]
        about["options"] += made
        return _ok(made)

    def _fields_of(self, request: web.Request) -> list[dict[str, Any]]:
        of = {"personFields": "persons", "organizationFields": "organizations"}
        return self.account.objects[of[request.match_info["fields"]]].fields

    async def list_records(self, request: web.Request) -> web.Response:
        ids = [int(one) for one in request.query.get("ids", "").split(",") if one]
        if len(ids) > _IDS_MAX:
            raise Failed(400, "ids: too many")
        if self.vendor.take_fault(Fault.REFUSED):
            raise Failed(400, "Bad request")
        there = [one for one in self.of(request).visible() if one["id"] in ids]
        return _ok([self._shown(request, one) for one in there], next_cursor=None)

    async def show_one(self, request: web.Request) -> web.Response:
        record = self.of(request).one(int(request.match_info["id"]))
        return _ok(self._shown(request, record))

    def _shown(self, request: web.Request, record: dict[str, Any]) -> dict[str, Any]:
        """A record with the fields that were asked for. Raises `Failed`."""
        also = request.query.get("include_fields", "").split(",")
        if _MARKETING in also and not self.account.has_campaigns:
            raise Failed(400, f"include_fields: '{_MARKETING}' is not allowed")
        chosen = request.query.get("custom_fields")
        return {
            # With a choice of custom fields, it has no others.
            name: _only(record, chosen) if name == "custom_fields" and chosen else one
            for name, one in record.items()
            if name != _MARKETING or _MARKETING in also
        }

    async def search(self, request: web.Request) -> web.Response:
        objects, asked = self.of(request), request.query
        term, name = asked["term"].lower(), asked["fields"]
        seen_s = monotonic_s() - self.vendor.behaviour.lag_ms / 1_000
        found = [
            one
            for one in objects.visible()
            if objects.changed_s[one["id"]] <= seen_s and term in _terms(one, name)
        ]
        start, limit = int(asked.get("cursor", 0)), int(asked.get("limit", 100))
        if not 1 <= limit <= _PAGE_MAX:
            raise Failed(400, f"limit must be between 1 and {_PAGE_MAX}")
        items = [{"result_score": 1, "item": {"id": one["id"]}} for one in found]
        end = start + limit
        cursor = str(end) if end < len(items) else None
        return _ok({"items": items[start:end]}, next_cursor=cursor)

    async def create(self, request: web.Request) -> web.Response:
        given = await request.json()
        if not given.get("name"):
            raise Failed(400, "Parameter 'name' is required")
        self.account.check(request.match_info["type"], given)
        record = {
            "id": self.account.next_id(),
            "is_deleted": False,
            "custom_fields": {},
        }
        return self._written(request, record, given, 201)

    async def update(self, request: web.Request) -> web.Response:
        record = self.of(request).one(int(request.match_info["id"]))
        if record["is_deleted"]:
            raise Failed(410, "The entity is gone")
        given = await request.json()
        self.account.check(request.match_info["type"], given)
        return self._written(request, record, given, 200)

    def _written(
        self,
        request: web.Request,
        record: dict[str, Any],
        given: dict[str, Any],
        status: int,
    ) -> web.Response:
        record["custom_fields"] |= given.pop("custom_fields", None) or {}
        record |= given
        self.account.keep(self.of(request), record)
        if self.vendor.take_fault(Fault.FEWER):
            return web.json_response({"success": True, "data": {}}, status=status)
        return _ok(record, status=status)

    # What somebody sees and does on the screen, for tests.

    def _shown_type(self, request: web.Request) -> Objects:
        return self.account.objects[_TYPES[request.query.get("type", "contacts")]]

    async def show_records(self, request: web.Request) -> web.Response:
        alive = self._shown_type(request).alive()
        return web.json_response([{"id": one["id"], "fields": one} for one in alive])

    async def plant(self, request: web.Request) -> web.Response:
        objects, ids = self._shown_type(request), []
        for given in await request.json():
            id_ = self.account.next_id()
            usual = {"id": id_, "is_deleted": False, "custom_fields": {}}
            self.account.keep(objects, usual | given)
            ids.append(id_)
        return web.json_response(ids)

    async def merge(self, request: web.Request) -> web.Response:
        """The one that stays takes over what it did not have."""
        objects = self._shown_type(request)
        winner, loser = (objects.records[int(one)] for one in await request.json())
        custom = loser["custom_fields"] | winner["custom_fields"]
        winner |= {**loser, **winner, "custom_fields": custom}
        loser["is_deleted"] = True
        return web.json_response({})

    async def leave_campaigns(self, request: web.Request) -> web.Response:
        """Let the account be on a plan without campaigns."""
        del request
        self.account.has_campaigns = False
        return web.json_response({})

    async def hide(self, request: web.Request) -> web.Response:
        """Let the user of the connection see a record no more."""
        self._shown_type(request).hidden.add(int(request.query["id"]))
        return web.json_response({})

    async def remove(self, request: web.Request) -> web.Response:
        objects = self._shown_type(request)
        objects.records[int(request.query["id"])]["is_deleted"] = True
        return web.json_response({})


def routes(vendor: Vendor) -> list[web.RouteDef]:
    """What Pipedrive answers to, with what each costs, and how tests look at it."""
    served = _Pipedrive(vendor)
    type_ = "{type:persons|organizations}"
    fields = "{fields:personFields|organizationFields}"
    api: tuple[tuple[str, str, _Handler, int], ...] = (
        ("GET", "/v1/users/me", served.me, 2),
        ("GET", "/v1/users", served.users, 20),
        ("GET", f"/api/v2/{fields}", served.list_fields, 10),
        ("POST", f"/api/v2/{fields}", served.make_field, 5),
        ("POST", f"/api/v2/{fields}/{{code}}/options", served.add_options, 5),
        ("GET", f"/api/v2/{type_}", served.list_records, 10),
        ("GET", f"/api/v2/{type_}/search", served.search, 20),
        ("GET", f"/api/v2/{type_}/{{id}}", served.show_one, 1),
        ("POST", f"/api/v2/{type_}", served.create, 5),
        ("PATCH", f"/api/v2/{type_}/{{id}}", served.update, 5),
    )
    records = "/_sandbox/pipedrive/records"
    return [
        *oauth_server.routes(vendor, "pipedrive", served.grants),
        *(
            web.route(method, f"{_ROOT}{path}", served.served(handler, tokens))
            for method, path, handler, tokens in api
        ),
        web.get(records, served.show_records),
        web.post(records, served.plant),
        web.delete(records, served.remove),
        web.post("/_sandbox/pipedrive/merge", served.merge),
        web.post("/_sandbox/pipedrive/hidden", served.hide),
        web.delete("/_sandbox/pipedrive/campaigns", served.leave_campaigns),
    ]


def _authorize(request: web.Request, grants: Grants) -> None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip() if scheme.lower() == "bearer" else ""
    token = token or request.headers.get("x-api-token", "")
    if token in {"", _REVOKED} or not grants.accepts(token):
        raise Failed(401, "unauthorized access")
    if token == _UNSCOPED or (token == _READER and request.method != "GET"):
        raise Failed(403, "Scope and URL mismatch")


def _ok(data: object, *, status: int = 200, **more: object) -> web.Response:
    body: dict[str, object] = {"success": True, "data": data}
    return web.json_response(body | {"additional_data": more}, status=status)


def _only(record: Mapping[str, Any], names: str) -> dict[str, Any]:
    custom: dict[str, Any] = record["custom_fields"]
    return {name: custom.get(name) for name in names.split(",")}


def _terms(record: Mapping[str, Any], name: str) -> set[str]:
    """What a search of one field finds a record by."""
    if name == "email":
        return {str(one["value"]).lower() for one in record.get("emails") or ()}
    values = record["custom_fields"].values()
    shown = (one.get("value") if isinstance(one, dict) else one for one in values)
    return {str(one).lower() for one in shown if one is not None}
