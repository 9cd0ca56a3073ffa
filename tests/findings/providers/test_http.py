"""HTTP to vendors, against a server that answers as it likes."""

import asyncio
import json

import pytest
from aiohttp import web

from tests.findings.providers.scripted_server import serving
from worker.findings.providers.errors import InDoubt, Unavailable
from worker.findings.providers.http import Http


async def _in_parts(request, parts):
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for part in parts:
        await response.write(part)
    await response.write_eof()
    return response


def test_an_answer_in_many_parts_is_read_whole():
    records = [{"name": "é" * 1_000}] * 1_000

    async def in_parts(request):
        body = json.dumps(records).encode()
        size = len(body) // 50
        parts = (body[at : at + size] for at in range(0, len(body), size))
        return await _in_parts(request, parts)

    async def scenario():
        http = Http()
        async with serving(in_parts) as url:
            reply = await http.get(url, {}, {})
        await http.close()
        return reply.json

    assert asyncio.run(scenario()) == records


def test_an_answer_that_does_not_end_is_not_read_on():
    async def endless(request):
        return await _in_parts(request, iter(lambda: b" " * 65_536, None))

    async def scenario():
        http = Http()
        async with serving(endless) as url:
            with pytest.raises(Unavailable, match="more than"):
                await http.get(url, {}, {})
        await http.close()

    asyncio.run(scenario())


def test_a_submit_that_got_no_connection_is_not_in_doubt():
    async def scenario():
        http = Http(timeout_s=0.4, connections_max=1)
        arrived = asyncio.Event()

        async def never(request):
            arrived.set()
            await asyncio.Event().wait()

        async with serving(never) as url, asyncio.TaskGroup() as group:
            first = group.create_task(_submit(http, url, InDoubt))
            await arrived.wait()
            await _submit(http, url, Unavailable)
            await first
        await http.close()

    asyncio.run(scenario())


async def _submit(http, url, expected):
    with pytest.raises(expected):
        await http.submit(url, {}, {})
