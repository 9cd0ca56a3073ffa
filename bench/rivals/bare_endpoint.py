"""One endpoint of the same server that accepts a job with one UPDATE and one INSERT.

    RIVAL_DATABASE=... python -m bench.rivals.bare_endpoint PORT_FILE PERIOD

It checks the same body, and nothing else: no key, no plan, no permission, no quote.
"""

import json
import os
import socket
import sys
from pathlib import Path
from secrets import token_hex
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import create_engine, text

_RESERVE = text("""
UPDATE periods SET reserved = reserved + :credits
 WHERE id = :period AND granted - reserved - spent - expired >= :credits
""")
_INSERT = text("""
INSERT INTO rival_small (id, license_id, credits, body)
VALUES (:id, :license, :credits, CAST(:body AS jsonb))
""")
_CREDITS = 3


class _Id(BaseModel):
    id: str


class _Record(BaseModel):
    company: _Id
    person: _Id


class _Job(BaseModel):
    kind: str
    license: str
    user: str
    retrieve: list[str]
    records: list[_Record]


def make_api(url: str, period: int) -> FastAPI:
    """The endpoint, on a database with the table `rival_small`."""
    engine = create_engine(url, pool_size=10, max_overflow=10)
    api = FastAPI()

    @api.post("/v1/jobs", status_code=202)
    def create_job(job: _Job) -> dict[str, Any]:
        id_ = f"job_{token_hex(12)}"
        values: dict[str, Any] = {"credits": _CREDITS, "period": period}
        with engine.begin() as connection:
            if not connection.execute(_RESERVE, values).rowcount:
                raise HTTPException(402)
            body = json.dumps([record.model_dump() for record in job.records])
            values = {"id": id_, "license": job.license, "body": body}
            connection.execute(_INSERT, values | {"credits": _CREDITS})
        return {"id": id_, "state": "queued", "license": job.license}

    return api


def main() -> None:
    """Serve it on a free port, and say which in a file."""
    port_file, period = Path(sys.argv[1]), int(sys.argv[2])
    url = os.environ["RIVAL_DATABASE"].replace("postgresql", "postgresql+psycopg")
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(make_api(url, period), log_level="warning")
    partial = port_file.with_suffix(".partial")
    partial.write_text(str(listening.getsockname()[1]))
    partial.rename(port_file)
    uvicorn.Server(config).run([listening])


if __name__ == "__main__":
    main()
