"""What tables alone cannot say: business time, trimmed ids, rows only ever added.

Each guard is one idempotent piece of SQL, run after the tables are created, here
and by the migrations; what indexes are made of is run before.
"""

from sqlalchemy import DDL, event

from pricing.business_time import LEEWAY
from storage.tables.column_types import metadata

_LEEWAY = f"interval '{LEEWAY.total_seconds():.0f} seconds'"


def _clock(name: str, instant: str) -> str:
    """A function of the one row that says how far the database's clock is believed."""
    return f"""
CREATE OR REPLACE FUNCTION {name}() RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE AS
$$ BEGIN
     RETURN (SELECT {instant} FROM business_clock);
   END $$
"""  # noqa: S608 - constants only


_BELIEVED = (
    "least(clock_timestamp(), trusted_at + CASE WHEN held_since IS NULL "
    f"THEN {_LEEWAY} ELSE interval '0' END)"
)
_CONFIRMED = "least(clock_timestamp(), trusted_at)"
_OFFSET = "make_interval(secs => offset_s)"

# Each reads the row anew: ask once a statement, not once a row.
BUSINESS_NOW = _clock("holdfast_now", f"{_BELIEVED} + {_OFFSET}")
"""Business time: the clock of windows, periods and expiries; leases never use it."""
CONFIRMED_NOW = _clock("holdfast_confirmed_now", f"{_CONFIRMED} + {_OFFSET}")
"""The same without its leeway: by what cannot be undone, such as a period's end."""
BELIEVED_CLOCK = _clock("holdfast_clock", _BELIEVED)
"""The database's clock as far as it is believed, for deadlines that it has set."""
CONFIRMED_CLOCK = _clock("holdfast_confirmed_clock", _CONFIRMED)
"""The same without its leeway: what was stamped by that clock is removed by it."""

LICENSE_NOW = """
CREATE OR REPLACE FUNCTION holdfast_license_now(license text) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE AS
$$ DECLARE
     at timestamptz := holdfast_now();
     later timestamptz;
   BEGIN
     LOOP
       SELECT max(ends_at) INTO later FROM periods
        WHERE license_id = license AND ended_at IS NOT NULL
          AND starts_at <= at AND at < ends_at;
       EXIT WHEN later IS NULL;
       at := later;
     END LOOP;
     RETURN at;
   END $$
"""
"""Business time, moved past periods that were ended before their end: no clock, and no
wrong end, may lock a license out until its calendar has caught up."""

RUNNING_PERIOD = """
CREATE OR REPLACE FUNCTION holdfast_running_period(license text) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE AS
$$ DECLARE at CONSTANT timestamptz := holdfast_license_now(license);
   BEGIN
     RETURN (SELECT id FROM periods
              WHERE license_id = license AND ended_at IS NULL
                AND starts_at <= at AND at < ends_at
              ORDER BY starts_at LIMIT 1);
   END $$
"""
"""The period that a license spends from."""

TRIMMED = r"""
CREATE OR REPLACE FUNCTION holdfast_trimmed(id text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT btrim(id, E'\t\n\u000b\f\r\u001c\u001d\u001e\u001f \u0085\u00a0\u1680'
     '\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a'
     '\u2028\u2029\u202f\u205f\u3000') $$
"""
"""An id as it is compared: without what Python's `str.strip` takes for white space."""

REFUSE_CHANGE = """
CREATE OR REPLACE FUNCTION holdfast_refuse_change() RETURNS trigger
LANGUAGE plpgsql AS
$$ BEGIN
     RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME
       USING ERRCODE = 'restrict_violation';
   END $$
"""

APPEND_ONLY = (
    *("transfers", "charges", "refunds", "provider_costs"),
    "audit_acknowledgements",
)


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
    CONFIRMED_NOW,
    BELIEVED_CLOCK,
    CONFIRMED_CLOCK,
    LICENSE_NOW,
    RUNNING_PERIOD,
    REFUSE_CHANGE,
    *(trigger for table in APPEND_ONLY for trigger in append_only(table)),
    CLOSED_FOR_GOOD,
)

event.listen(
    metadata,
    "before_create",
    DDL(TRIMMED),  # type: ignore[no-untyped-call]
)

for _guard in GUARDS:
    event.listen(
        metadata,
        "after_create",
        DDL(_guard.replace("%", "%%")),  # type: ignore[no-untyped-call]
    )
