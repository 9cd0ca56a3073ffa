"""What tables alone cannot say: business time, trimmed ids, rows only ever added.

Each guard is one idempotent piece of SQL, run after the tables are created, here
and by the migrations.
"""

from sqlalchemy import DDL, event

from storage.tables.column_types import metadata

BUSINESS_NOW = """
CREATE OR REPLACE FUNCTION holdfast_now() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE AS
$$ SELECT clock_timestamp() + make_interval(secs => coalesce(
     nullif(current_setting('holdfast.clock_offset_s', true), ''), '0')::float8) $$
"""
"""The clock of windows, periods and expiries; leases never use it."""

REFUSE_CHANGE = """
CREATE OR REPLACE FUNCTION holdfast_refuse_change() RETURNS trigger
LANGUAGE plpgsql AS
$$ BEGIN
     RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME
       USING ERRCODE = 'restrict_violation';
   END $$
"""

TRIM = r"""
CREATE OR REPLACE FUNCTION holdfast_trim(id text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT btrim(id, E'\t\n\x0b\f\r\x1c\x1d\x1e\x1f \u0085\u00a0\u1680\u2000\u2001'
     '\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f'
     '\u205f\u3000') $$
"""
"""An id without the white space around it, by Unicode, as Python's `str.strip`."""

APPEND_ONLY = ("transfers", "charges", "refunds", "provider_costs")


def append_only(table: str) -> tuple[str, str]:
    """The triggers that refuse to change, remove or truncate rows of a table."""
    no_change = f"""
CREATE OR REPLACE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION holdfast_refuse_change()
"""
    no_truncate = f"""
CREATE OR REPLACE TRIGGER {table}_never_truncated BEFORE TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION holdfast_refuse_change()
"""
    return no_change, no_truncate


CLOSED_FOR_GOOD = """
CREATE OR REPLACE TRIGGER reservations_closed_for_good
BEFORE UPDATE OR DELETE ON reservations
FOR EACH ROW WHEN (OLD.state = 'closed')
EXECUTE FUNCTION holdfast_refuse_change()
"""

GUARDS: tuple[str, ...] = (
    BUSINESS_NOW,
    REFUSE_CHANGE,
    TRIM,
    *(trigger for table in APPEND_ONLY for trigger in append_only(table)),
    CLOSED_FOR_GOOD,
)

for _guard in GUARDS:
    event.listen(
        metadata,
        "after_create",
        DDL(_guard.replace("%", "%%")),  # type: ignore[no-untyped-call]
    )
