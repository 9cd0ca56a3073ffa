"""What the migration to ids without white space finds, and tells of."""

import json

from sqlalchemy import Connection, text

from storage.licenses import notifications
from storage.migrations import migrator, schema_version
from tests.support.stored_jobs import USER

REVISION = "0016"


def _before() -> str:
    versions = schema_version.known()
    return versions[versions.index(REVISION) - 1]


_LICENSE = """
INSERT INTO licenses (id, name, plan, payment_term, credits, features, starts_at,
                      anchor_at, anchor_term)
VALUES ('acme', 'Acme', 'V2', 'yearly', 10, '{}', now(), now(), 'yearly')
"""
_QUOTE = """
INSERT INTO quotes (id, license_id, user_id, kind, retrieve, email_level, export, terms,
                    quoted_at, expires_at, max_credits, available, fits_records, lines,
                    changed, records, companies, persons, duplicates, columns, slices)
VALUES (:id, 'acme', :user, 'export', :retrieve, 'verified', CAST(:export AS jsonb),
        '{}', now(), now(), 4, 4, 1, '[]', '[]', 1, 1, 1, 0, '{company_id}', '[]')
"""
_JOB = """
INSERT INTO jobs (id, quote_id, license_id, user_id, kind, records, open_chunks,
                  created_at)
VALUES (:id, :id, 'acme', :user, 'export', 1, 0, now())
"""
_CHARGE = """
INSERT INTO charges (id, license_id, period_id, reservation_id, job_id, user_id, item,
                     subject, digest, credits, rule, charged_at)
VALUES (nextval('charges_id_seq'), 'acme', 1, 1, :job, :user, :item, 'p', '', :credits,
        'price', now())
"""


def _look(*fields: str) -> str:
    return json.dumps({"columns": [{"field": field} for field in fields]})


def _store(connection: Connection) -> None:
    # The rows that these point at do not matter.
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    connection.execute(text(_LICENSE))
    for name, look in {
        "bad": _look("note"),
        "no phone": _look("email"),
        "good": _look("email", "phone"),
        "all": "{}",
        "unused": _look("title"),
    }.items():
        connection.execute(
            text("""
                INSERT INTO templates (license_id, name, export)
                VALUES ('acme', :name, CAST(:export AS jsonb))"""),
            {"name": name, "export": look},
        )
        if name != "unused":
            asked = {"id": name, "user": USER, "retrieve": ["email", "phone"]}
            connection.execute(text(_QUOTE), asked | {"export": look})
            connection.execute(text(_JOB), asked)
            for item, credits_ in (("company", 1), ("email", 1), ("phone", 2)):
                charge = {"job": name, "user": USER, "item": item, "credits": credits_}
                connection.execute(text(_CHARGE), charge)


def test_templates_and_charges_of_what_is_in_no_column_are_told(empty_database):
    migrator.migrate(empty_database, to=_before())
    with empty_database.transaction() as connection:
        _store(connection)
    migrator.migrate(empty_database)
    with empty_database.transaction() as connection:
        told = notifications.of_license(connection, "acme", before=None, limit=10)
    assert {one.user_id for one in told} == {USER}
    charged, *templates = [(one.code, one.message) for one in told]
    assert charged[0] == "charged_without_column"
    assert charged[1].startswith("3 charges, 5 credits, were")
    assert charged[1].endswith(": bad, no phone")
    refused = "which quotes with it retrieve: they are refused until it has one"
    assert sorted(templates) == [
        ("template_without_column", f"template {words}, {refused}")
        for words in (
            "bad has no column for email and phone",
            "no phone has no column for phone",
        )
    ]


def test_look_ups_of_ids_of_before_use_their_indexes(shared_database):
    asked = "holdfast_trimmed({0}) = 'x' AND {0} <> holdfast_trimmed({0})"
    queries = {
        "outcomes_spaced_idx": "SELECT FROM record_outcomes WHERE license_id = 'l'"
        " AND outcome = 'delivered' AND holdfast_trimmed(company_id) = 'x'"
        " AND (company_id <> holdfast_trimmed(company_id)"
        " OR person_id <> holdfast_trimmed(person_id))",
        "id_map_spaced_idx": "SELECT FROM id_map WHERE connection_id = 'c'"
        " AND kind = 'person' AND " + asked.format("our_id"),
        "findings_spaced_idx": "SELECT FROM findings WHERE "
        + asked.format("person_id"),
        "directory_spaced_idx": "SELECT FROM directory WHERE "
        + asked.format("person_id"),
        "erasures_trimmed_idx": "SELECT FROM erasures"
        " WHERE holdfast_trimmed(person_id) = 'x'",
    }
    with shared_database.transaction() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        for index, query in queries.items():
            plan = connection.execute(text(f"EXPLAIN {query}")).scalars()
            assert index in "\n".join(plan)
