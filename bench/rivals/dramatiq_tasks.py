"""The same chunks with dramatiq, whose broker is Redis."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from bench.rivals import chunk_task

dramatiq.set_broker(RedisBroker(url=os.environ["RIVAL_BROKER"]))


@dramatiq.actor(max_retries=0, time_limit=3_600_000)
def chunk(payer: dict[str, Any], path: str, place: list[int], folder: str) -> None:
    """Run one chunk."""
    chunk_task.run(payer, path, place, folder)


def main() -> None:
    """Queue the chunks of a file, and print the CPU seconds that it took."""
    began_s = time.process_time()
    for task in json.loads(Path(sys.argv[1]).read_text()):
        chunk.send(**task)
    print(time.process_time() - began_s)
