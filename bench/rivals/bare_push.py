"""A bare loop that posts the same batches to the same webhook, signed as ours are.

    python -m bench.rivals.bare_push URL FILE BATCH

It keeps nothing: no charge, no outcome, nothing to go on from.
"""

import asyncio
import csv
import hashlib
import hmac
import json
import resource
import sys
import time
from pathlib import Path
from secrets import token_hex
from typing import Any

import aiohttp

SECRET = "sandbox-signing-secret"  # noqa: S105 - the sandbox's own
_AT_ONCE = 2
_PERSON_FIELDS = ("first_name", "last_name", "title")
_Row = dict[str, str]


def _signed(body: bytes) -> dict[str, str]:
    at = str(int(time.time()))
    digest = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return {"Holdfast-Signature": f"t={at},v1={digest.hexdigest()}"}


async def _post(
    session: aiohttp.ClientSession, url: str, kind: str, records: list[dict[str, Any]]
) -> None:
    event = {"id": f"batch_{token_hex(12)}", "type": kind, "data": {"records": records}}
    body = json.dumps(event).encode()
    async with session.post(url, data=body, headers=_signed(body)) as answer:
        answer.raise_for_status()


def _company(row: _Row) -> dict[str, Any]:
    fields = {"name": row["company_name"], "domain": row["company_domain"]}
    return {"id": row["company_id"], "fields": fields}


def _person(row: _Row) -> dict[str, Any]:
    fields = {name: row[name] for name in _PERSON_FIELDS}
    company = row["company_id"]
    return {"id": row["person_id"], "company_id": company, "fields": fields}


async def push(url: str, path: Path, size: int) -> None:
    """Push all rows of a file, companies of a batch before its persons."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    gate = asyncio.Semaphore(_AT_ONCE)
    async with aiohttp.ClientSession() as session:

        async def batch(part: list[_Row]) -> None:
            async with gate:
                companies = {row["company_id"]: _company(row) for row in part}
                await _post(session, url, "push.companies", list(companies.values()))
                await _post(session, url, "push.persons", [*map(_person, part)])

        parts = [rows[at : at + size] for at in range(0, len(rows), size)]
        await asyncio.gather(*map(batch, parts))


def main() -> None:
    """Push, and print what it took."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    began_s = time.perf_counter()
    asyncio.run(push(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"wall_s": time.perf_counter() - began_s, "cpu_s": cpu_s}))


if __name__ == "__main__":
    main()
