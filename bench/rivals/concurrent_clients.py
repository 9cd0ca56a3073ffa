"""Clients that submit jobs of one record at once, each as fast as it is answered.

    python -m bench.rivals.concurrent_clients URL KEY LICENSE CLIENTS JOBS MODE

MODE is `quote`, which quotes and then submits, or `submit`, which submits at once.
"""

import asyncio
import json
import sys
import time
from secrets import token_hex
from typing import Any

import aiohttp

_CREATED, _ACCEPTED = 201, 202


def _body(license_: str) -> dict[str, Any]:
    company, person = {"id": token_hex(8)}, {"id": token_hex(16)}
    return {
        "kind": "export",
        "license": license_,
        "user": "ada",
        "retrieve": ["phone"],
        "records": [{"company": company, "person": person}],
    }


async def _post(
    session: aiohttp.ClientSession, path: str, body: dict[str, Any], wanted: int
) -> dict[str, Any]:
    async with session.post(path, json=body) as answer:
        found: dict[str, Any] = await answer.json()
        if answer.status != wanted:
            raise RuntimeError(f"{path}: {answer.status} {found}")
        return found


async def submit_all(
    url: str, key: str, license_: str, *, clients: int, jobs: int, quoting: bool
) -> dict[str, float]:
    """Submit all jobs; how many a second, and what one took in seconds."""
    took_s: list[float] = []

    async def client(session: aiohttp.ClientSession, count: int) -> None:
        for _ in range(count):
            began_s, body = time.perf_counter(), _body(license_)
            if quoting:
                quote = await _post(session, "/v1/quotes", body, _CREATED)
                body = {"quote": quote["id"]}
            await _post(session, "/v1/jobs", body, _ACCEPTED)
            took_s.append(time.perf_counter() - began_s)

    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(url, headers=headers) as session:
        began_s = time.perf_counter()
        shares = [len(range(place, jobs, clients)) for place in range(clients)]
        await asyncio.gather(*(client(session, share) for share in shares))
        wall_s = time.perf_counter() - began_s
    took_s.sort()
    p50, p95 = took_s[len(took_s) // 2], took_s[int(len(took_s) * 0.95)]
    return {"rate": jobs / wall_s, "p50_s": p50, "p95_s": p95}


def main() -> None:
    """Do what the command line says, and print what was found."""
    url, key, license_, clients, jobs, mode = sys.argv[1:]
    found = asyncio.run(
        submit_all(
            *(url, key, license_),
            clients=int(clients),
            jobs=int(jobs),
            quoting=mode == "quote",
        )
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
