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
from worker.sandbox.salesforce.sobjects import SObjects
from worker.sandbox.salesforce.soql import Malformed, parsed
from worker.sandbox.unspoken import Unspoken, only
from worker.sandbox.vendor_behaviour import Fault, Vendor

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_Route = tuple[str, str, _Handler, str]
"""A method, a path, who answers, and the query's parameters that are looked at."""

_ROOT, _DATA = "/salesforce", "/services/data/{version}"
_REVOKED, _UNSCOPED = "revoked", "unscoped"
_CALL_MAX = 200
_LOCKED_EVERY = 4
_DAILY = 100_000
_PAGE, _PAGES_MAX = 200, 1_000
_TYPE = "{type:Account|Contact}"
_COLUMNS = {"User": ("Email", "Username", "Name", "IsActive"), "Topic": ("Name",)}
"""What can be asked of types that have no description here."""
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
        self.single = SObjects(self.org)
        self.ingest = Ingest(vendor, self.org, self.written)
        self.paths: Counter[str] = Counter()
        self.times: list[float] = []
        self.refused = 0
        self._pages: dict[str, tuple[list[dict[str, Any]], int]] = {}
        self._locators = 0
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

    def served(self, handler: _Handler, query: str) -> _Handler:
        """The handler behind what comes before it: the token, and the limit.

        `query` names the parameters that it looks at.
        """

        async def serve(request: web.Request) -> web.StreamResponse:
            self.paths[f"{request.method} {request.path.removeprefix(_ROOT)}"] += 1
            if "host" in self.org.troubles:
                moved = {"Location": self.org.troubles["host"]}
                return web.Response(status=301, headers=moved)
            try:
                _authorize(request, self.grants)
                self._take()
                only(request.query, query.split())
                return await handler(request)
            except _Failed as failed:
                return web.json_response(failed.body, status=failed.status)

        return serve

    def _take(self) -> None:
        if "requests" in self.org.troubles:
            words = self.org.troubles["requests"]
            raise _Failed(403, "REQUEST_LIMIT_EXCEEDED", words)
        is_full = len(self.times) >= self._limit
        if self.vendor.take_fault(Fault.RATE_LIMITED) or is_full:
            self.refused += 1
            raise _Failed(
                403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."
            )
        self.times.append(wall_s())

    @property
    def _limit(self) -> int:
        daily = self.vendor.behaviour.daily
        return _DAILY if daily is None else daily

    async def limits(self, request: web.Request) -> web.Response:
        del request
        left = {"Max": self._limit, "Remaining": self._limit - len(self.times)}
        return web.json_response({"DailyApiRequests": left})

    async def query(self, request: web.Request) -> web.Response:
        if self.vendor.behaviour.is_too_common(request.query["q"]):
            raise _Failed(400, "OPERATION_TOO_LARGE", "exceeded 100000 distinct who's")
        try:
            query = parsed(request.query.get("q", ""))
        except Malformed as error:
            raise _Failed(400, "MALFORMED_QUERY", str(error)) from error
        known = self.org.fields.get(query.type) or _COLUMNS.get(query.type)
        if known is None:
            raise Unspoken(f"the sandbox does not know the type {query.type}")
        for name in (*query.names, *query.compared):
            if name not in {*known, "Id", "IsDeleted", "MasterRecordId"}:
                words = f"No such column '{name}' on entity '{query.type}'"
                raise _Failed(400, "INVALID_FIELD", words)
        every = "queryAll" in request.path
        rows = [
            one.shown(query.names)
            for one in self.org.records.values()
            if one.type == query.type and (every or not one.deleted)
            if query.fits(one) or (query.type == "User" and _is_active(query, one))
        ]
        rows = rows[: query.limit]
        return self._page(request, rows, len(rows))

    async def more(self, request: web.Request) -> web.Response:
        if request.match_info["page"] not in self._pages:
            raise _Failed(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._page(request, *self._pages[request.match_info["page"]])

    def _page(
        self, request: web.Request, rows: list[dict[str, Any]], total: int
    ) -> web.Response:
        page, rest = rows[:_PAGE], rows[_PAGE:]
        answer: dict[str, Any] = {"totalSize": total, "done": not rest}
        if rest:
            self._locators += 1
            name = f"page{self._locators}"
            self._pages[name] = rest, total
            if len(self._pages) > _PAGES_MAX:
                del self._pages[next(iter(self._pages))]
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
        if type_ not in self.org.fields or any(
            row["attributes"]["type"] != type_ for row in rows
        ):
            raise Unspoken(
                "the sandbox updates records of one type, Account or Contact"
            )
        pairs = [(str(row.pop("id", row.pop("Id", ""))), row) for row in rows]
        return self._answer(request, type_, pairs, upserts=False)

    async def create(self, request: web.Request) -> web.Response:
        answers: list[dict[str, Any]] = []
        for row in await _rows(request):
            type_ = row.pop("attributes")["type"]
            try:
                self.org.check_troubles(type_)
                made = self._made(request, type_, row)
                answers.append({"id": made, "success": True, "errors": []})
            except Refusal as refusal:
                answers.append({"success": False, "errors": [refusal.error]})
        return web.json_response(answers)

    def _made(self, request: web.Request, type_: str, row: dict[str, Any]) -> str:
        match type_:
            case "Topic":
                return self.org.topic(row)
            case "TopicAssignment":
                return self.org.give(row)
        if type_ not in self.org.fields:
            raise Unspoken(f"the sandbox does not know the type {type_}")
        record, _ = self.org.write(type_, row, None, allow=_allows(request))
        return record.id

    def _answer(
        self,
        request: web.Request,
        type_: str,
        pairs: Sequence[tuple[str | None, dict[str, Any]]],
        *,
        upserts: bool,
    ) -> web.Response:
        allow = _allows(request)
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
        creates: bool = False,
        commits: bool = True,
    ) -> dict[str, Any]:
        """What became of one row, as collections answer it."""
        key = row.get(KEY)
        there = None
        if not creates:
            there = (
                self.org.by_key(type_, str(key))
                if upserts
                else self.org.get(type_, str(their_id))
            )
        if not upserts and not creates and there is None:
            return {"success": False, "errors": [_GONE]}
        try:
            record, is_new = self.org.write(
                type_, row, there, allow=allow, commits=commits
            )
        except Refusal as refusal:
            return {"success": False, "errors": [refusal.error]}
        answer = {"id": record.id, "success": True, "errors": []}
        return answer | ({"created": is_new} if upserts or creates else {})

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
    api = [*_query_api(served), *_records_api(served), *_bulk_api(served.ingest)]
    records = "/_sandbox/salesforce/records"
    return [
        *oauth_server.routes(vendor, "salesforce", served.grants),
        *(
            # Salesforce takes a slash at the end, and its clients send some.
            web.route(
                method, f"{_ROOT}{_DATA}{path}{{end:/?}}", served.served(handler, query)
            )
            for method, path, handler, query in api
        ),
        web.get(records, served.show_records),
        web.post(records, served.plant),
        web.patch(records, served.change),
        web.delete(records, served.remove),
        web.post("/_sandbox/salesforce/merge", served.merge),
        web.patch("/_sandbox/salesforce/org", served.configure),
        web.post("/_sandbox/salesforce/abort", served.abort),
    ]


def _query_api(served: _Salesforce) -> list[_Route]:
    return [
        ("GET", "/limits", served.limits, ""),
        ("GET", "/query", served.query, "q"),
        ("GET", "/queryAll", served.query, "q"),
        ("GET", "/query/{page}", served.more, ""),
    ]


def _records_api(served: _Salesforce) -> list[_Route]:
    one, of_type = served.single, f"/sobjects/{_TYPE}"
    many = "/composite/sobjects"
    found = (f"{of_type}/{{id}}", f"{of_type}/{KEY}/{{key}}")
    return [
        ("GET", "/sobjects", one.every_type, ""),
        ("GET", of_type, one.about, ""),
        ("POST", of_type, one.create, ""),
        ("GET", f"{of_type}/describe", one.describe, ""),
        *(("GET", path, one.show, "fields") for path in found),
        *(("PATCH", path, one.change, "") for path in found),
        *(("DELETE", path, one.remove, "") for path in found),
        ("PATCH", f"{many}/{_TYPE}/{{field}}", served.upsert, ""),
        ("GET", f"{many}/{_TYPE}", one.show_many, "ids fields"),
        ("PATCH", many, served.update, ""),
        ("POST", many, served.create, ""),
        ("DELETE", many, one.remove_many, "ids allOrNone"),
    ]


def _bulk_api(ingest: Ingest) -> list[_Route]:
    jobs = "/jobs/ingest"
    which = "{which:(?i:successfulResults|failedResults|unprocessedRecords)}"
    return [
        ("POST", jobs, ingest.create, ""),
        ("PUT", f"{jobs}/{{job}}/batches", ingest.upload, ""),
        ("PATCH", f"{jobs}/{{job}}", ingest.change, ""),
        ("GET", f"{jobs}/{{job}}", ingest.show, ""),
        ("GET", f"{jobs}/{{job}}/{which}", ingest.results, "locator"),
    ]


def told(status: int, code: str, words: str) -> web.Response:
    """An error of Salesforce's."""
    return web.json_response(_Failed(status, code.upper(), words).body, status=status)


def _allows(request: web.Request) -> bool:
    """Whether a request lets duplicates in."""
    header = request.headers.get("Sforce-Duplicate-Rule-Header", "")
    return "allowSave=true" in header.replace(" ", "")


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
    only(given, ("records",))
    rows: list[dict[str, Any]] = given.get("records", [])
    if not all("type" in row.get("attributes", {}) for row in rows):
        raise _Failed(400, "INVALID_INPUT", "attributes.type is missing")
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
