"""The files of a copied past: each job's records, its export and its manifest.

They name what the copies in the tables name, so that whoever reads both finds the same.
"""

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

_IDS = ("company_id", "person_id")
_BLOCK = 1000


class _Job(NamedTuple):
    """The files of the one job that was copied, as they are."""

    records: list[tuple[dict[str, Any], str]]
    heading: list[str]
    rows: list[list[str]]
    manifest: dict[str, Any]


def copy_files(url: str, folder: Path, job: str, *, licenses: int, jobs: int) -> None:
    """Write the files of all copies below a folder, and let their rows name them.

    And let the directory know the persons of the copies as it knows those of the job.
    """
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        of_job = _read(connection, folder, job)
        for first in range(0, jobs, _BLOCK):
            to = min(jobs, first + _BLOCK)
            files = [
                _write(folder, of_job, number, number % licenses)
                for number in range(first, to)
            ]
            _name(connection, files)
            _know(connection, job, first, to - 1)
            connection.commit()


def _read(connection: psycopg.Connection[Any], folder: Path, job: str) -> _Job:
    found = connection.execute(
        "SELECT q.input, j.file_artifact FROM jobs AS j"
        "  JOIN quotes AS q ON q.id = j.quote_id WHERE j.id = %s",
        (job,),
    ).fetchone()
    assert found is not None  # noqa: S101 - it was run
    input_name, file_name = found
    lines = (folder / input_name).read_text().splitlines()
    halves = [line.partition("\t") for line in lines]
    heading, *rows = csv.reader(io.StringIO((folder / file_name).read_text()))
    manifest = json.loads((folder / "jobs" / job / "manifest.json").read_text())
    return _Job(
        [(json.loads(one), two) for one, _, two in halves], heading, rows, manifest
    )


def _write(
    folder: Path, of_job: _Job, number: int, license_: int
) -> tuple[str, str, str, int, str]:
    """The files of one copy: its quote, its input, its file, size and digest."""
    job = f"past-job-{number}"
    input_name, file_name = f"inputs/past-{number}.jsonl", f"jobs/{job}/{job}.csv"
    lines = [
        f"{json.dumps(_own(head, number))}\t{rest}\n" for head, rest in of_job.records
    ]
    (folder / input_name).write_text("".join(lines))
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(of_job.heading)
    places = [of_job.heading.index(name) for name in _IDS]
    for row in of_job.rows:
        own = list(row)
        for place in places:
            own[place] = f"{number}-{own[place]}"
        writer.writerow(own)
    data = out.getvalue().encode()
    (folder / "jobs" / job).mkdir(parents=True)
    (folder / file_name).write_bytes(data)
    manifest = of_job.manifest | {"job": job, "license": f"past-{license_}"}
    (folder / "jobs" / job / "manifest.json").write_text(json.dumps(manifest))
    digest = hashlib.sha256(data).hexdigest()
    return f"past-quote-{number}", input_name, file_name, len(data), digest


def _own(head: dict[str, Any], number: int) -> dict[str, Any]:
    return head | {
        name: [one and f"{number}-{one}" for one in head[name]]
        for name in ("companies", "persons")
    }


def _name(
    connection: psycopg.Connection[Any], files: list[tuple[str, str, str, int, str]]
) -> None:
    columns = [list(column) for column in zip(*files, strict=True)]
    connection.execute(
        "UPDATE quotes SET input = made.input"
        "  FROM unnest(%s::text[], %s::text[]) AS made (id, input)"
        " WHERE quotes.id = made.id",
        columns[:2],
    )
    connection.execute(
        "UPDATE jobs SET file_artifact = made.file, file_bytes = made.bytes,"
        "                file_sha256 = made.sha256"
        "  FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::text[])"
        "    AS made (quote, file, bytes, sha256)"
        " WHERE jobs.quote_id = made.quote",
        [columns[0], *columns[2:]],
    )


def _know(connection: psycopg.Connection[Any], job: str, first: int, last: int) -> None:
    connection.execute(
        "INSERT INTO directory (person_id, email, email_status, phone)"
        " SELECT j || '-' || d.person_id, d.email, d.email_status, d.phone"
        "   FROM (SELECT DISTINCT unnest(person_ids) AS id FROM outcome_batches"
        "          WHERE job_id = %s) AS one"
        "   JOIN directory AS d ON d.person_id = one.id,"
        "        generate_series(%s::bigint, %s::bigint) AS j",
        (job, first, last),
    )
