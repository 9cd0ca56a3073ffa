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
from worker.sandbox.pipedrive.record_search import finder, item_of, paged
from worker.sandbox.unspoken import one_of, only
from worker.sandbox.vendor_behaviour import Fault, Vendor

_Handler = Callable[[web.Request], Awaitable[web.Response]]

_ROOT = "/pipedrive"
_REVOKED, _UNSCOPED, _READER = "revoked", "unscoped", "reader"
_TYPES = {"contacts": "persons", "companies": "organizations"}
_MARKETING = "marketing_status"
_IDS_MAX = 100


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

    def served(self, handler: _Handler, tokens: int, query: str) -> _Handler:
        """The handler behind what comes before it: the token, the burst, the budget.

        `query` names the parameters that it looks at.
        """

        async def serve(request: web.Request) -> web.Response:
            self.paths[f"{request.method} {request.path.removeprefix(_ROOT)}"] += 1
            is_search = request.path.endswith("/search")
            try:
                _authorize(request, self.grants)
                self.limits.take(tokens, is_search=is_search)
                only(request.query, query.split())
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
        page, cursor = paged(request, self._fields_of(request))
        return _ok(page, next_cursor=cursor)

    async def show_field(self, request: web.Request) -> web.Response:
        return _ok(self._field(request))

    async def make_field(self, request: web.Request) -> web.Response:
        given = await request.json()
        only(given, ("field_name", "field_type", "options"))
        if not given.get("field_name") or not given.get("field_type"):
            raise Failed(400, "field_name and field_type are required")
        code, type_ = secrets.token_hex(20), given["field_type"]
        made = described(given["field_name"], code, type_, is_custom=True)
        if "options" in given and made["options"] is not None:
            made["options"] = _options(given["options"], 1)
        self._fields_of(request).append(made)
        return _ok(made)

    async def add_options(self, request: web.Request) -> web.Response:
        about = self._field(request)
        first_id = max((one["id"] for one in about["options"]), default=0) + 1
        made = _options(await request.json(), first_id)
        about["options"] += made
        return _ok(made)

    def _field(self, request: web.Request) -> dict[str, Any]:
        for one in self._fields_of(request):
            if one["field_code"] == request.match_info["code"]:
                return one
        raise Failed(404, "Field not found")

    def _fields_of(self, request: web.Request) -> list[dict[str, Any]]:
        of = {"personFields": "persons", "organizationFields": "organizations"}
        return self.account.objects[of[request.match_info["fields"]]].fields

    async def list_records(self, request: web.Request) -> web.Response:
        asked = request.query
        ids = [one for one in asked.get("ids", "").split(",") if one]
        if len(ids) > _IDS_MAX or not all(one.isdecimal() for one in ids):
            raise Failed(400, f"ids must be at most {_IDS_MAX} whole numbers")
        if self.vendor.take_fault(Fault.REFUSED):
            raise Failed(400, "Bad request")
        _included(request)
        one_of(asked, "sort_by", "id")
        one_of(asked, "sort_direction", "asc")
        if request.match_info["type"] == "organizations":
            one_of(asked, "org_id")
        wanted = {name: asked[name] for name in ("owner_id", "org_id") if name in asked}
        there = [
            one
            for one in self.of(request).visible()
            if (not ids or str(one["id"]) in ids)
            and wanted.items()
            <= {
                "owner_id": str(one.get("owner_id", USERS[0][0])),
                "org_id": str(one.get("org_id")),
            }.items()
        ]
        page, cursor = paged(request, there)
        return _ok([self._shown(request, one) for one in page], next_cursor=cursor)

    async def show_one(self, request: web.Request) -> web.Response:
        record = self.of(request).one(int(request.match_info["id"]))
        return _ok(self._shown(request, record))

    def _shown(self, request: web.Request, record: dict[str, Any]) -> dict[str, Any]:
        """A record with the fields that were asked for. Raises `Failed`."""
        also = _included(request)
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
        type_, asked = request.match_info["type"], request.query
        if self.vendor.behaviour.is_too_common(asked.get("term", "")):
            raise Failed(400, "Search returns too many results")
        finds = finder(type_, asked)
        seen_s = monotonic_s() - self.vendor.behaviour.lag_ms / 1_000
        changed_s = self.of(request).changed_s
        found = [
            one
            for one in self.of(request).visible()
            if changed_s[one["id"]] <= seen_s and finds(one)
        ]
        page, cursor = paged(request, found)
        items = [{"result_score": 1, "item": item_of(one, type_)} for one in page]
        return _ok({"items": items}, next_cursor=cursor)

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

    async def delete(self, request: web.Request) -> web.Response:
        record = self.of(request).one(int(request.match_info["id"]))
        record["is_deleted"] = True
        self.account.keep(self.of(request), record)
        return _ok({"id": record["id"]})

    def _written(
        self,
        request: web.Request,
        record: dict[str, Any],
        given: dict[str, Any],
        status: int,
    ) -> web.Response:
        custom = given.pop("custom_fields", None) or {}
        record["custom_fields"] |= {name: _trimmed(one) for name, one in custom.items()}
        record |= {name: _trimmed(one) for name, one in given.items()}
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
    records = f"/api/v2/{type_}"
    shown, page = "include_fields custom_fields", "limit cursor"
    chosen = f"ids owner_id org_id sort_by sort_direction {shown} {page}"
    searched = f"term fields exact_match organization_id {page}"
    api: tuple[tuple[str, str, _Handler, int, str], ...] = (
        ("GET", "/v1/users/me", served.me, 2, ""),
        ("GET", "/v1/users", served.users, 20, ""),
        ("GET", f"/api/v2/{fields}", served.list_fields, 10, page),
        ("POST", f"/api/v2/{fields}", served.make_field, 5, ""),
        ("GET", f"/api/v2/{fields}/{{code}}", served.show_field, 1, ""),
        ("POST", f"/api/v2/{fields}/{{code}}/options", served.add_options, 5, ""),
        ("GET", records, served.list_records, 10, chosen),
        ("GET", f"{records}/search", served.search, 20, searched),
        ("GET", rf"{records}/{{id:\d+}}", served.show_one, 1, shown),
        ("POST", records, served.create, 5, ""),
        ("PATCH", rf"{records}/{{id:\d+}}", served.update, 5, ""),
        ("DELETE", rf"{records}/{{id:\d+}}", served.delete, 3, ""),
    )
    by_hand = "/_sandbox/pipedrive/records"
    return [
        *oauth_server.routes(vendor, "pipedrive", served.grants),
        *(
            web.route(method, f"{_ROOT}{path}", served.served(handler, tokens, query))
            for method, path, handler, tokens, query in api
        ),
        web.get(by_hand, served.show_records),
        web.post(by_hand, served.plant),
        web.delete(by_hand, served.remove),
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


def _included(request: web.Request) -> list[str]:
    """The fields that are asked for beside the usual. Raises `Unspoken`."""
    also = request.query.get("include_fields", "").split(",")
    only(dict.fromkeys(also, "asked for"), ("", _MARKETING))
    return also


def _only(record: Mapping[str, Any], names: str) -> dict[str, Any]:
    custom: dict[str, Any] = record["custom_fields"]
    return {name: custom.get(name) for name in names.split(",")}


def _options(given: Any, first_id: int) -> list[dict[str, Any]]:  # noqa: ANN401 - whatever was sent
    labels = [one.get("label") for one in given if isinstance(one, dict)]
    if not labels or not all(labels):
        raise Failed(400, "options: label is required")
    return [{"id": id_, "label": label} for id_, label in enumerate(labels, first_id)]


def told(status: int, code: str, words: str) -> web.Response:
    """An error of Pipedrive's."""
    body = Failed(status, words).body | {"code": code}
    return web.json_response(body, status=status)


def _trimmed(value: Any) -> Any:  # noqa: ANN401 - a value of any type
    """A value as it is kept: a text without the white space around it."""
    return value.strip() if isinstance(value, str) else value
