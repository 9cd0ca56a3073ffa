"""Salesforce's records one at a time, by id or by key, and what their types are."""

from typing import Any

from aiohttp import web

from worker.sandbox.salesforce.org import KEY, Org, Record, Refusal
from worker.sandbox.unspoken import one_of

_PREFIXES = {"Account": "001", "Contact": "003"}
_ROWS_MAX = 200
_GONE = "The requested resource does not exist"


class SObjects:
    """What is asked of one record, or of some by their ids."""

    def __init__(self, org: Org) -> None:
        self._org = org

    async def every_type(self, request: web.Request) -> web.Response:
        """The types that there are."""
        del request
        types = [_type(name) for name in self._org.fields]
        body = {"encoding": "UTF-8", "maxBatchSize": _ROWS_MAX, "sobjects": types}
        return web.json_response(body)

    async def about(self, request: web.Request) -> web.Response:
        """One type, and nothing that anybody has looked at lately."""
        about = _type(request.match_info["type"])
        return web.json_response({"objectDescribe": about, "recentItems": []})

    async def describe(self, request: web.Request) -> web.Response:
        """One type with its fields."""
        type_ = request.match_info["type"]
        fields = list(self._org.fields[type_].values())
        return web.json_response(_type(type_) | {"fields": fields})

    async def create(self, request: web.Request) -> web.Response:
        """Make one."""
        return await self._written(request, None)

    async def show(self, request: web.Request) -> web.Response:
        """One record with the fields that are asked for, or with all."""
        record = self._named(request)
        if record is None:
            return _refused(404, Refusal("NOT_FOUND", _GONE))
        known = self._org.fields[record.type]
        asked = [one for one in request.query.get("fields", "").split(",") if one]
        for name in asked:
            if name not in known:
                words = f"No such column '{name}' on sobject of type {record.type}"
                return _refused(400, Refusal("INVALID_FIELD", words))
        return web.json_response(record.shown(asked or list(known)))

    async def change(self, request: web.Request) -> web.Response:
        """Change one; by a key, make it where there is none."""
        record = self._named(request)
        if record is None and "key" not in request.match_info:
            return _refused(404, Refusal("NOT_FOUND", _GONE))
        return await self._written(request, record)

    async def remove(self, request: web.Request) -> web.Response:
        """Put one into the recycle bin."""
        record = self._named(request)
        if record is None:
            return _refused(404, Refusal("ENTITY_IS_DELETED", "entity is deleted"))
        record.deleted = True
        return web.Response(status=204)

    async def show_many(self, request: web.Request) -> web.Response:
        """Some records by their ids, with nothing in the place of one that is gone."""
        type_ = request.match_info["type"]
        names = request.query.get("fields", "Id").split(",")
        found = [self._org.get(type_, one) for one in _ids(request)]
        return web.json_response([one.shown(names) if one else None for one in found])

    async def remove_many(self, request: web.Request) -> web.Response:
        """Put some into the recycle bin."""
        one_of(request.query, "allOrNone", "false")
        results: list[dict[str, Any]] = []
        for id_ in _ids(request):
            record = self._org.records.get(id_)
            if record is None or record.deleted:
                refusal = Refusal("ENTITY_IS_DELETED", "entity is deleted")
                results.append({"success": False, "errors": [refusal.error]})
            else:
                record.deleted = True
                results.append({"id": id_, "success": True, "errors": []})
        return web.json_response(results)

    def _named(self, request: web.Request) -> Record | None:
        """The record that a path names."""
        type_, named = request.match_info["type"], request.match_info
        if "key" in named:
            return self._org.by_key(type_, named["key"])
        return self._org.get(type_, named["id"])

    async def _written(
        self, request: web.Request, record: Record | None
    ) -> web.Response:
        type_, key = request.match_info["type"], request.match_info.get("key")
        values = await request.json()
        values.pop("attributes", None)
        header = request.headers.get("Sforce-Duplicate-Rule-Header", "")
        if key is not None and KEY in values:
            words = f"The {KEY} field should not be specified in the sobject data."
            return _refused(400, Refusal("INVALID_FIELD", words, KEY))
        try:
            written, is_new = self._org.write(
                type_,
                values | ({} if key is None else {KEY: key}),
                record,
                allow="allowSave=true" in header.replace(" ", ""),
            )
        except Refusal as refusal:
            return _refused(400, refusal)
        if not is_new and key is None:
            return web.Response(status=204)
        told = {"id": written.id, "success": True, "errors": []}
        told |= {} if key is None else {"created": is_new}
        return web.json_response(told, status=201 if is_new else 200)


def _type(name: str) -> dict[str, Any]:
    rights = ("createable", "updateable", "deletable", "queryable", "retrieveable")
    about = {"name": name, "label": name, "labelPlural": f"{name}s", "custom": False}
    return about | {"keyPrefix": _PREFIXES[name]} | dict.fromkeys(rights, True)


def _ids(request: web.Request) -> list[str]:
    return [one for one in request.query.get("ids", "").split(",") if one]


def _refused(status: int, refusal: Refusal) -> web.Response:
    """A refusal of one record: its code has another name than in a collection."""
    error = refusal.error
    body = {"errorCode": error["statusCode"], "message": error["message"]}
    return web.json_response([body | {"fields": error["fields"]}], status=status)
