"""Inspection: the records of the HubSpot account, for tests and for whoever looks."""

from aiohttp import web

from worker.sandbox.hubspot.portal import Objects, Portal


class _Inspection:
    def __init__(self, portal: Portal) -> None:
        self.portal = portal

    def _objects(self, request: web.Request) -> Objects:
        return self.portal.objects[request.query.get("type", "contacts")]

    async def show_records(self, request: web.Request) -> web.Response:
        objects = self._objects(request)
        members = {
            record.id: sorted(
                one.name
                for one in self.portal.lists.values()
                if one.type_id == objects.type_id and record.id in one.members
            )
            for record in objects.alive()
        }
        return web.json_response(
            [
                {
                    "id": one.id,
                    "properties": one.properties,
                    "lists": members[one.id],
                    "companies": self.portal.companies_of(one.id),
                }
                for one in objects.alive()
            ]
        )

    async def plant(self, request: web.Request) -> web.Response:
        objects = self._objects(request)
        planted = [
            objects.put(objects.new_id(), properties).id
            for properties in await request.json()
        ]
        return web.json_response(planted)

    async def change(self, request: web.Request) -> web.Response:
        objects = self._objects(request)
        given = await request.json()
        objects.put(given.pop("id"), given)
        return web.json_response({})

    async def merge(self, request: web.Request) -> web.Response:
        objects = self._objects(request)
        winner, loser = await request.json()
        merged = objects.merge(winner, loser)
        self.portal.move({winner, loser}, merged.id, objects.type_id)
        return web.json_response({"id": merged.id})

    async def archive(self, request: web.Request) -> web.Response:
        objects = self._objects(request)
        record = objects.get(request.query["id"])
        if record is None:
            raise web.HTTPNotFound(text="there is no such record")
        objects.archive(record)
        return web.json_response({})


def routes(portal: Portal) -> list[web.RouteDef]:
    """What is shown, planted, changed, merged and archived by hand."""
    inspection, records = _Inspection(portal), "/_sandbox/hubspot/records"
    return [
        web.get(records, inspection.show_records),
        web.post(records, inspection.plant),
        web.patch(records, inspection.change),
        web.delete(records, inspection.archive),
        web.post("/_sandbox/hubspot/merge", inspection.merge),
    ]
