"""Python with the libraries of any such stack imported: what that alone costs."""

import json
import resource
from pathlib import Path

import celery
import fastapi
import psycopg
import sqlalchemy
import uvicorn

_LIBRARIES = (celery, fastapi, psycopg, sqlalchemy, uvicorn)


def main() -> None:
    """Print what this process has used so far."""
    # Celery imports lazily; these are what a worker needs.
    _ = (celery.Celery, fastapi.FastAPI, sqlalchemy.create_engine)
    used = resource.getrusage(resource.RUSAGE_SELF)
    # What it holds now: the peak of whoever started it would count as its own.
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    mib = pages * resource.getpagesize() / 2**20
    print(json.dumps({"cpu_s": used.ru_utime + used.ru_stime, "mib": mib}))


if __name__ == "__main__":
    main()
