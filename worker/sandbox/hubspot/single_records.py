"""HubSpot's records one at a time, and those lists of them that are no searches."""

from typing import Any

from aiohttp import web

from worker.sandbox.hubspot import batches
from worker.sandbox.hubspot.portal import USUAL, Objects, Portal
from worker.sandbox.hubspot.refusals import Refusal, malformed
from worker.sandbox.unspoken import only
from worker.sandbox.vendor_behaviour import Refusals, Vendor

_PAGE_MAX, _PAGE_USUALLY = 100, 10


class SingleRecords:
    """What is asked of one record by its id, and of all of them by page."""

    def __init__(self, vendor: Vendor, portal: Portal) -> None:
        self._vendor = vendor
        self._portal = portal

    async def create(self, request: web.Request) -> web.Response:
        """Make one."""
        rows = batches.new_rows_of([await json_of(request)])
        batch = batches.create(self._objects(request), rows, Refusals.WHOLE)
        return web.json_response(batch.results[0], status=201)

    async def create_many(self, request: web.Request) -> web.Response:
        """Make some."""
        rows = batches.new_rows_of(batches.inputs_of(await json_of(request, "inputs")))
        refusals = self._vendor.behaviour.refusals
        batch = batches.create(self._objects(request), rows, refusals)
        status = batch.status if batch.errors else 201
        return web.json_response(batch.body(), status=status)

    async def show(self, request: web.Request) -> web.Response:
        """One, by its id or by a property whose values are unique."""
        body = self._named(request) | {"properties": _chosen(request)}
        batch = batches.read(self._objects(request), body)
        if not batch.results:
            raise Refusal(404, "OBJECT_NOT_FOUND", "resource not found")
        return web.json_response(batch.results[0])

    async def change(self, request: web.Request) -> web.Response:
        """Change one."""
        given = await json_of(request, "properties")
        (one,) = self._named(request)["inputs"]
        row = one | given | {"idProperty": request.query.get("idProperty")}
        batch = batches.write(
            self._objects(request),
            batches.rows_of({"inputs": [row]}),
            creates=False,
            refusals=Refusals.WHOLE,
        )
        return web.json_response(batch.results[0])

    async def archive(self, request: web.Request) -> web.Response:
        """Archive one; one that is not there is none afterwards, too."""
        self._archive(self._objects(request), request.match_info["id"])
        return web.Response(status=204)

    async def archive_many(self, request: web.Request) -> web.Response:
        """Archive some."""
        for one in batches.inputs_of(await json_of(request, "inputs")):
            self._archive(self._objects(request), str(one["id"]))
        return web.Response(status=204)

    async def page(self, request: web.Request) -> web.Response:
        """Some of all, by age."""
        objects = self._objects(request)
        limit = number_of(request, "limit", _PAGE_USUALLY)
        if not 1 <= limit <= _PAGE_MAX:
            raise malformed(f"limit must be between 1 and {_PAGE_MAX}")
        start, every = number_of(request, "after", 0), list(objects.alive())
        names = [one for one in _chosen(request) if one in objects.properties]
        shown = [
            one.shown(names or USUAL[objects.type])
            for one in every[start : start + limit]
        ]
        answer = {"results": shown}
        return web.json_response(answer | paging(start + limit, len(every)))

    async def property(self, request: web.Request) -> web.Response:
        """What is known of one property."""
        objects, name = self._objects(request), request.match_info["name"]
        if name not in objects.properties:
            message = f'Property "{name}" does not exist'
            raise Refusal(404, "OBJECT_NOT_FOUND", message)
        return web.json_response(objects.properties[name])

    async def owner(self, request: web.Request) -> web.Response:
        """One of those whom records can belong to."""
        for one in self._portal.owners:
            if one["id"] == request.match_info["id"]:
                return web.json_response(one)
        raise Refusal(404, "OBJECT_NOT_FOUND", "Owner not found")

    async def list(self, request: web.Request) -> web.Response:
        """One list, without its members."""
        found = self._portal.lists.get(request.match_info["id"])
        if found is None:
            raise Refusal(404, "OBJECT_NOT_FOUND", "List does not exist")
        return web.json_response({"list": found.shown()})

    def _objects(self, request: web.Request) -> Objects:
        return self._portal.objects[request.match_info["type"]]

    def _named(self, request: web.Request) -> dict[str, Any]:
        """The record that a path names, as a batch would."""
        inputs = [{"id": request.match_info["id"]}]
        return {"idProperty": request.query.get("idProperty"), "inputs": inputs}

    def _archive(self, objects: Objects, record_id: str) -> None:
        record = objects.get(record_id)
        if record is not None:
            objects.archive(record)


async def json_of(request: web.Request, *spoken: str) -> Any:  # noqa: ANN401 - whatever was sent
    """A request's body. Raises `Unspoken` where an object has more than is spoken."""
    try:
        given = await request.json()
    except ValueError as error:
        raise malformed(f"Invalid input JSON: {error}") from error
    if spoken and isinstance(given, dict):
        only(given, spoken)
    return given


def number_of(request: web.Request, name: str, usually: int) -> int:
    """A whole number of the query."""
    given = request.query.get(name) or str(usually)
    if not given.isdecimal():
        raise malformed(f"{name} must be a whole number")
    return int(given)


def paging(after: int, total: int) -> dict[str, Any]:
    """Where the next page begins, if there is one."""
    return {"paging": {"next": {"after": str(after)}}} if after < total else {}


def _chosen(request: web.Request) -> list[str]:
    """The properties that are asked for, in one parameter or in many."""
    given = ",".join(request.query.getall("properties", []))
    return [name for name in given.split(",") if name]
