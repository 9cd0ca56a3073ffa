"""Salesforce: an org that requests change, with its limits and failures."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from worker.infrastructure.clock import wall_s
from worker.sandbox import oauth_server
from worker.sandbox.fault_injection import mangled
from worker.sandbox.oauth_server import Grants
from worker.sandbox.salesforce.bulk_api import Ingest
from worker.sandbox.salesforce.org import KEY, Org, Refusal
from worker.sandbox.salesforce.soql import Malformed, parsed
from worker.sandbox.vendor_behaviour import Fault, Vendor

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ROOT, _DATA = "/salesforce", "/services/data/{version}"
_REVOKED, _UNSCOPED = "revoked", "unscoped"
_CALL_MAX = 200
_LOCKED_EVERY = 4
_DAILY = 100_000
_PAGE = 200
_TYPES = {"contacts": "Contact", "companies": "Account", "users": "User"}


class _Failed(Exception):
    """A request of which nothing is done."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.body = [{"errorCode": code, "message": message, "fields": []}]
        super().__init__(message)


class _Salesforce:
    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.org = Org()
        self.grants = Grants()
        self.ingest = Ingest(vendor, self.org, self.written)
        self.paths: Counter[str] = Counter()
        self.times: list[float] = []
        self.refused = 0
        self._pages: dict[str, list[dict[str, Any]]] = {}
        vendor.report = self.report

    def report(self) -> dict[str, Any]:
        """What there is in the org, and what was asked of it."""
        return {
            "contacts": sum(1 for _ in self.org.alive("Contact")),
            "companies": sum(1 for _ in self.org.alive("Account")),
            "jobs": len(self.ingest.jobs),
            "running": self.ingest.running,
            "aborted": self.ingest.aborted,
            "paths": dict(self.paths),
            "times": self.times,
            "refused": self.refused,
            "refreshes": self.grants.refreshes,
            "reused": self.grants.reused,
        }

    def served(self, handler: _Handler) -> _Handler:
        """The handler behind what comes before it: the token, and the limit."""

        async def serve(request: web.Request) -> web.StreamResponse:
            self.paths[f"{request.method} {request.path.removeprefix(_ROOT)}"] += 1
            if "host" in self.org.troubles:
                moved = {"Location": self.org.troubles["host"]}
                return web.Response(status=301, headers=moved)
            try:
                _authorize(request, self.grants)
                self._take()
                return await handler(request)
            except _Failed as failed:
                return web.json_response(failed.body, status=failed.status)

        return serve

    def _take(self) -> None:
        if "requests" in self.org.troubles:
            words = self.org.troubles["requests"]
            raise _Failed(403, "REQUEST_LIMIT_EXCEEDED", words)
        daily = self.vendor.behaviour.daily
        limit = _DAILY if daily is None else daily
        if self.vendor.take_fault(Fault.RATE_LIMITED) or len(self.times) >= limit:
            self.refused += 1
            raise _Failed(
                403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."
            )
        self.times.append(wall_s())

    async def describe(self, request: web.Request) -> web.Response:
        fields = self.org.fields[request.match_info["type"]]
        return web.json_response({"fields": list(fields.values())})

    async def query(self, request: web.Request) -> web.Response:
        try:
            query = parsed(request.query["q"])
        except Malformed as error:
            raise _Failed(400, "MALFORMED_QUERY", str(error)) from error
        known = self.org.fields.get(query.type)
        extra = {"IsDeleted", "MasterRecordId"}
        for name in query.names if known is not None else ():
            if name not in {*(known or ()), *extra}:
                words = f"No such column '{name}' on entity '{query.type}'"
                raise _Failed(400, "INVALID_FIELD", words)
        every = request.path.endswith("queryAll")
        rows = [
            one.shown(query.names)
            for one in self.org.records.values()
            if one.type == query.type and (every or not one.deleted)
            if query.fits(one) or (query.type == "User" and _is_active(query, one))
        ]
        return self._page(request, rows)

    async def more(self, request: web.Request) -> web.Response:
        return self._page(request, self._pages.pop(request.match_info["page"]))

    def _page(self, request: web.Request, rows: list[dict[str, Any]]) -> web.Response:
        page, rest = rows[:_PAGE], rows[_PAGE:]
        answer: dict[str, Any] = {"totalSize": len(rows), "done": not rest}
        if rest:
            name = f"page{len(self._pages)}"
            self._pages[name] = rest
            version = request.match_info["version"]
            answer["nextRecordsUrl"] = f"/services/data/{version}/query/{name}"
        return web.json_response(answer | {"records": page})

    async def upsert(self, request: web.Request) -> web.Response:
        if request.match_info["field"] != KEY:
            raise _Failed(404, "NOT_FOUND", "Provided external ID field does not exist")
        type_ = request.match_info["type"]
        rows = await _rows(request, type_)
        if any("id" in row or "Id" in row for row in rows):
            raise _Failed(400, "INVALID_FIELD", "Id must not be specified on upsert")
        return self._answer(request, type_, [(None, row) for row in rows], upserts=True)

    async def update(self, request: web.Request) -> web.Response:
        rows = await _rows(request)
        type_ = rows[0]["attributes"]["type"] if rows else "Account"
        pairs = [(str(row.pop("id", row.pop("Id", ""))), row) for row in rows]
        return self._answer(request, type_, pairs, upserts=False)

    async def create(self, request: web.Request) -> web.Response:
        answers: list[dict[str, Any]] = []
        for row in await _rows(request):
            type_ = row.pop("attributes")["type"]
            try:
                self.org.check_troubles(type_)
                made = self.org.topic(row) if type_ == "Topic" else self.org.give(row)
                answers.append({"id": made, "success": True, "errors": []})
            except Refusal as refusal:
                answers.append({"success": False, "errors": [refusal.error]})
        return web.json_response(answers)

    def _answer(
        self,
        request: web.Request,
        type_: str,
        pairs: Sequence[tuple[str | None, dict[str, Any]]],
        *,
        upserts: bool,
    ) -> web.Response:
        header = request.headers.get("Sforce-Duplicate-Rule-Header", "")
        allow = "allowSave=true" in header.replace(" ", "")
        for _, row in pairs:
            row.pop("attributes", None)
            # A field that is not there, or a value of the wrong type, breaks the whole
            # request off.
            for name in row.keys() - self.org.fields[type_].keys():
                words = f"No such column '{name}' on sobject of type {type_}"
                raise _Failed(400, "INVALID_FIELD", words)
            size = row.get("Size__c")
            if size is not None and not _is_number(str(size)):
                raise _Failed(400, "JSON_PARSER_ERROR", f"Cannot deserialize {size!r}")
        locks = self.vendor.take_fault(Fault.LOCKED) is not None
        if self.org.crowd is not None and len(pairs) > self.org.crowd[0]:
            return web.json_response([_failed(*self.org.crowd[1:])] * len(pairs))
        results = []
        for place, (their_id, row) in enumerate(pairs):
            if locks and place % _LOCKED_EVERY == 0:
                results.append(_LOCKS[place // _LOCKED_EVERY % len(_LOCKS)])
                continue
            results.append(
                self.written(type_, their_id, row, upserts=upserts, allow=allow)
            )
        return web.json_response(mangled(self.vendor, results))

    def written(
        self,
        type_: str,
        their_id: str | None,
        row: Mapping[str, Any],
        *,
        upserts: bool,
        allow: bool,
        commits: bool = True,
    ) -> dict[str, Any]:
        """What became of one row, as collections answer it."""
        key = row.get(KEY)
        there = (
            self.org.by_key(type_, str(key))
            if upserts
            else self.org.get(type_, str(their_id))
        )
        if not upserts and there is None:
            return {"success": False, "errors": [_GONE]}
        try:
            record, is_new = self.org.write(
                type_, row, there, allow=allow, commits=commits
            )
        except Refusal as refusal:
            return {"success": False, "errors": [refusal.error]}
        answer = {"id": record.id, "success": True, "errors": []}
        return answer | ({"created": is_new} if upserts else {})

    # What somebody sees and does on the screen, for tests.

    async def show_records(self, request: web.Request) -> web.Response:
        type_ = _TYPES[request.query.get("type", "contacts")]
        return web.json_response(
            [{"id": one.id, "fields": one.values} for one in self.org.alive(type_)]
        )

    async def plant(self, request: web.Request) -> web.Response:
        type_ = _TYPES[request.query.get("type", "contacts")]
        rows = await request.json()
        return web.json_response([self.org.make(type_, row).id for row in rows])

    async def change(self, request: web.Request) -> web.Response:
        given = await request.json()
        self.org.put(self.org.records[given.pop("id")], given)
        return web.json_response({})

    async def remove(self, request: web.Request) -> web.Response:
        self.org.records[request.query["id"]].deleted = True
        return web.json_response({})

    async def merge(self, request: web.Request) -> web.Response:
        self.org.merge(*await request.json())
        return web.json_response({})

    async def configure(self, request: web.Request) -> web.Response:
        given = await request.json()
        troubles = self.org.troubles | given.get("troubles", {})
        self.org.troubles = {name: one for name, one in troubles.items() if one}
        if "crowd" in given:
            self.org.crowd = given["crowd"]
        for id_ in given.get("hidden", ()):
            self.org.records[id_].committed = False
        for type_, fields in given.get("fields", {}).items():
            for name, about in fields.items():
                self.org.configure(type_, name, about)
        return web.json_response({})

    async def abort(self, request: web.Request) -> web.Response:
        del request
        self.ingest.abort_all()
        return web.json_response({})


_GONE = {
    "statusCode": "ENTITY_IS_DELETED",
    "message": "entity is deleted",
    "fields": [],
}


def _failed(code: str, message: str) -> dict[str, Any]:
    """A row that was not written, as collections answer it."""
    error = {"statusCode": code, "message": message, "fields": []}
    return {"success": False, "errors": [error]}


_LOCKS = [
    _failed("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record"),
    _failed(
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        "Roll: execution of AfterInsert caused by: UNABLE_TO_LOCK_ROW, again",
    ),
    _failed(
        "CANNOT_EXECUTE_FLOW_TRIGGER",
        "We can't save this record because the process failed. UNABLE_TO_LOCK_ROW: "
        "unable to obtain exclusive access to this record or 1 records",
    ),
]


def routes(vendor: Vendor) -> list[web.RouteDef]:
    """What Salesforce answers to, and how tests look at its records."""
    served = _Salesforce(vendor)
    ingest, jobs = served.ingest, f"{_DATA}/jobs/ingest"
    api: tuple[tuple[str, str, _Handler], ...] = (
        ("GET", f"{_DATA}/sobjects/{{type:Account|Contact}}/describe", served.describe),
        ("GET", f"{_DATA}/query", served.query),
        ("GET", f"{_DATA}/queryAll", served.query),
        ("GET", f"{_DATA}/query/{{page}}", served.more),
        (
            "PATCH",
            f"{_DATA}/composite/sobjects/{{type:Account|Contact}}/{{field}}",
            served.upsert,
        ),
        ("PATCH", f"{_DATA}/composite/sobjects", served.update),
        ("POST", f"{_DATA}/composite/sobjects", served.create),
        ("POST", jobs, ingest.create),
        ("PUT", f"{jobs}/{{job}}/batches", ingest.upload),
        ("PATCH", f"{jobs}/{{job}}", ingest.change),
        ("GET", f"{jobs}/{{job}}", ingest.show),
        ("GET", f"{jobs}/{{job}}/{{which}}", ingest.results),
    )
    records = "/_sandbox/salesforce/records"
    return [
        *oauth_server.routes(vendor, "salesforce", served.grants),
        *(
            web.route(method, f"{_ROOT}{path}", served.served(handler))
            for method, path, handler in api
        ),
        web.get(records, served.show_records),
        web.post(records, served.plant),
        web.patch(records, served.change),
        web.delete(records, served.remove),
        web.post("/_sandbox/salesforce/merge", served.merge),
        web.patch("/_sandbox/salesforce/org", served.configure),
        web.post("/_sandbox/salesforce/abort", served.abort),
    ]


def _authorize(request: web.Request, grants: Grants) -> None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    known = token not in {"", _REVOKED} and grants.accepts(token)
    if scheme.lower() != "bearer" or not known:
        raise _Failed(401, "INVALID_SESSION_ID", "Session expired or invalid")
    if token == _UNSCOPED:
        raise _Failed(403, "API_DISABLED_FOR_ORG", "API is not enabled for this Org")


async def _rows(request: web.Request, type_: str | None = None) -> list[dict[str, Any]]:
    given = await request.json()
    rows: list[dict[str, Any]] = given["records"]
    if len(rows) > _CALL_MAX:
        raise _Failed(400, "INVALID_INPUT", f"at most {_CALL_MAX} records")
    types = {row["attributes"]["type"] for row in rows}
    if type_ is not None and types - {type_}:
        raise _Failed(400, "INVALID_INPUT", "records of another type")
    return rows


def _is_active(query: Any, record: Any) -> bool:  # noqa: ANN401 - a query and a record
    record.values["IsActive"] = True
    fits: bool = query.fits(record)
    return fits


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
