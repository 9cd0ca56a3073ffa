"""The same chunks with procrastinate, whose queue is PostgreSQL too."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import procrastinate

from bench.rivals import chunk_task

_WHERE = os.environ["RIVAL_DATABASE"]

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=_WHERE))


@app.task(name="chunk")
def chunk(payer: dict[str, Any], path: str, place: list[int], folder: str) -> None:
    """Run one chunk."""
    chunk_task.run(payer, path, place, folder)


def enqueue(tasks: list[dict[str, Any]]) -> None:
    """Queue all chunks of a job at once."""
    connector = procrastinate.SyncPsycopgConnector(conninfo=_WHERE)
    with procrastinate.App(connector=connector).open() as client:
        client.configure_task("chunk").batch_defer(*tasks)


async def _work() -> None:
    async with app.open_async():
        await app.run_worker_async(concurrency=1, install_signal_handlers=True)


def main() -> None:
    """`schema` makes tables, `worker` runs one, `enqueue FILE` queues its chunks."""
    if sys.argv[1] == "schema":
        connector = procrastinate.SyncPsycopgConnector(conninfo=_WHERE)
        with procrastinate.App(connector=connector).open() as client:
            client.schema_manager.apply_schema()
    elif sys.argv[1] == "worker":
        asyncio.run(_work())
    else:
        began_s = time.process_time()
        enqueue(json.loads(Path(sys.argv[2]).read_text()))
        print(time.process_time() - began_s)
