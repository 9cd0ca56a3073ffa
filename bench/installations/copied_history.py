"""A past in the tables: one job that was run, copied many times for many licenses.

Each copy is what the product itself has written, under ids of its own: so all promises
of the ledger hold for it, and a table's new columns come along by themselves.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg import sql

from bench.installations.contacts import csv_of
from bench.installations.exports import export
from bench.installations.installation import Installation

_BLOCK = 1000
"""Jobs that one transaction copies."""

_LICENSE = "'past-' || l"
_JOB = "'past-job-' || j"
_QUOTE = "'past-quote-' || j"
_RESERVATION = "%(reservations)s + j"
_PERIOD = "%(periods)s + l"
_OWN_IDS: LiteralString = (
    "ARRAY(SELECT j || '-' || each.id"
    " FROM unnest(o.{}) WITH ORDINALITY AS each (id, place) ORDER BY place)"
)
_CHARGE = "%(charges)s + j * %(stride)s + o.{} - %(first_charge)s"


_Connection = psycopg.Connection[tuple[Any, ...]]


class _Copied(NamedTuple):
    """A table's rows of the one job, and what a copy of them has of its own.

    `o` is the row, `n` its number, `j` the copy's job, and `l` its license.
    """

    table: LiteralString
    where: LiteralString
    own: dict[LiteralString, LiteralString]


_OF_LICENSES = (
    _Copied("licenses", "id = %(license)s", {"id": _LICENSE}),
    _Copied(
        "periods",
        "license_id = %(license)s",
        {
            "id": _PERIOD,
            "license_id": _LICENSE,
            "spent": "%(credits)s * %(jobs_each)s",
        },
    ),
    _Copied(
        "transfers",
        "license_id = %(license)s AND kind = 'grant'",
        {"id": "%(transfers)s + l", "license_id": _LICENSE, "period_id": _PERIOD},
    ),
)

_OF_JOBS = (
    _Copied(
        "quotes",
        "id = %(quote)s",
        {"id": _QUOTE, "license_id": _LICENSE, "input": "NULL::text"},
    ),
    _Copied(
        "reservations",
        "job_id = %(job)s",
        {
            "id": _RESERVATION,
            "license_id": _LICENSE,
            "period_id": _PERIOD,
            "job_id": _JOB,
        },
    ),
    _Copied(
        "jobs",
        "id = %(job)s",
        {
            "id": _JOB,
            "license_id": _LICENSE,
            "quote_id": _QUOTE,
            "file_artifact": "NULL::text",
            "parts_removed_at": "o.finished_at",
        },
    ),
    _Copied(
        "chunks",
        "job_id = %(job)s",
        {"id": "%(chunks)s + j * %(slices)s + n", "job_id": _JOB},
    ),
    _Copied("parts", "job_id = %(job)s", {"job_id": _JOB, "name": "j || o.name"}),
    _Copied(
        "outcome_batches",
        "job_id = %(job)s",
        {
            "license_id": _LICENSE,
            "job_id": _JOB,
            "reservation_id": _RESERVATION,
            "company_ids": _OWN_IDS.format("company_ids"),
            "person_ids": _OWN_IDS.format("person_ids"),
        },
    ),
    _Copied(
        "delivered_companies",
        "job_id = %(job)s",
        {
            "license_id": _LICENSE,
            "job_id": _JOB,
            "company_id": "j || '-' || o.company_id",
            "person_ids": _OWN_IDS.format("person_ids"),
        },
    ),
    _Copied(
        "charges",
        "job_id = %(job)s",
        {
            "id": _CHARGE.format("id"),
            "license_id": _LICENSE,
            "period_id": _PERIOD,
            "reservation_id": _RESERVATION,
            "job_id": _JOB,
            "subject": "j || '-' || o.subject",
        },
    ),
    _Copied(
        "entitlements",
        "license_id = %(license)s",
        {
            "license_id": _LICENSE,
            "subject": "j || '-' || o.subject",
            "settled_as": _CHARGE.format("settled_as"),
            "exported_by": _CHARGE.format("exported_by"),
        },
    ),
    _Copied(
        "transfers",
        "reservation_id = %(reservation)s",
        {
            "id": "%(transfers)s + %(licenses)s + j * %(moves)s + n",
            "license_id": _LICENSE,
            "period_id": _PERIOD,
            "reservation_id": _RESERVATION,
        },
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """How much there is to be: jobs are as many a license, charges as many a job."""

    licenses: int
    jobs: int
    charges: int


def make_past(installation: Installation, past: Past) -> str:
    """Fill the tables with a past; the id of one of its licenses."""
    # 1.6 charges a contact.
    count = max(5, round(past.charges / past.jobs / 1.6))
    job = export(installation, csv_of(count), count).job
    url = installation.database_url()
    with _filling(installation):
        copy_job(url, job, licenses=past.licenses, jobs=past.jobs)
    installation.rows("VACUUM (ANALYZE)")
    installation.rows("CHECKPOINT")
    return "past-0"


@contextmanager
def _filling(installation: Installation) -> Iterator[None]:
    """Let the server do inside the block what it otherwise does again and again."""
    installation.rows("ALTER SYSTEM SET autovacuum = off")
    installation.rows("ALTER SYSTEM SET max_wal_size = '8GB'")
    installation.rows("ALTER SYSTEM SET checkpoint_timeout = '1h'")
    installation.rows("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        installation.rows("ALTER SYSTEM RESET ALL")
        installation.rows("SELECT pg_reload_conf()")


def copy_job(url: str, job: str, *, licenses: int, jobs: int) -> None:
    """Copy an ended job, which its license has alone, for new licenses in turn."""
    jobs_each = jobs // licenses
    with psycopg.connect(url) as connection:
        # What is copied was checked when it was written, and the audit looks again.
        connection.execute("SET session_replication_role = replica")
        values = _template(connection, job)
        values |= {"licenses": licenses, "jobs_each": jobs_each}
        for copied in _OF_LICENSES:
            _copy(connection, copied, values | {"from": 0, "to": licenses - 1})
        for first in range(0, jobs_each * licenses, _BLOCK):
            to = min(jobs_each * licenses, first + _BLOCK) - 1
            for copied in _OF_JOBS:
                _copy(connection, copied, values | {"from": first, "to": to})
            connection.commit()
        _move_sequences(connection)


def _template(connection: _Connection, job: str) -> dict[str, object]:
    """The ids of the one job, and from where on those of its copies are free."""
    found = connection.execute(
        "SELECT j.license_id, j.quote_id, r.id, r.settled,"
        "       (SELECT count(*) FROM chunks WHERE job_id = j.id),"
        "       (SELECT count(*) FROM transfers WHERE reservation_id = r.id),"
        "       (SELECT min(id) FROM charges WHERE job_id = j.id),"
        "       (SELECT max(id) - min(id) + 1 FROM charges WHERE job_id = j.id),"
        "       (SELECT max(id) + 1 FROM periods),"
        "       (SELECT max(id) + 1 FROM reservations),"
        "       (SELECT max(id) + 1 FROM chunks),"
        "       (SELECT max(id) + 1 FROM charges),"
        "       (SELECT max(id) + 1 FROM transfers)"
        "  FROM jobs AS j JOIN reservations AS r ON r.job_id = j.id WHERE j.id = %s",
        (job,),
    ).fetchone()
    names = (
        *("license", "quote", "reservation", "credits", "slices", "moves"),
        *("first_charge", "stride"),
        *("periods", "reservations", "chunks", "charges", "transfers"),
    )
    return {"job": job} | dict(zip(names, found or (), strict=True))


def _copy(
    connection: _Connection,
    copied: _Copied,
    values: dict[str, object],
) -> None:
    table = sql.Identifier(copied.table)
    looked = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(table))
    columns = [column.name for column in looked.description or ()]
    statement = sql.SQL("""
        INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE
        SELECT {values}
          FROM (SELECT *, row_number() OVER (ORDER BY ctid) - 1 AS n
                  FROM {table} WHERE {where}) AS o,
               generate_series(%(from)s::bigint, %(to)s::bigint) AS j,
               LATERAL (SELECT j %% %(licenses)s AS l) AS of_license
    """)
    made = statement.format(
        table=table,
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        values=sql.SQL(", ").join(_value(copied, column) for column in columns),
        where=sql.SQL(copied.where),
    )
    connection.execute(made, values)


def _value(copied: _Copied, column: str) -> sql.Composable:
    own = {str(name): what for name, what in copied.own.items()}
    return sql.SQL(own[column]) if column in own else sql.Identifier("o", column)


def _move_sequences(connection: _Connection) -> None:
    """Let what comes next be numbered after all copies."""
    connection.execute("SELECT setval('charges_id_seq', (SELECT max(id) FROM charges))")
    for table in ("periods", "reservations", "chunks", "transfers"):
        statement = sql.SQL(
            "SELECT setval(pg_get_serial_sequence({}, 'id'), max(id)) FROM {}"
        )
        named = statement.format(sql.Literal(table), sql.Identifier(table))
        connection.execute(named)
