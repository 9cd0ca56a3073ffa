"""What tables alone cannot say: business time, rows only ever added, work that waits.

Each guard is one idempotent piece of SQL, run after the tables are created, here
and by the migrations; what indexes are made of is run before.
"""

from sqlalchemy import DDL, event

from pricing.business_time import LEEWAY
from storage.errors import MONEY_STOPPED
from storage.listener import WORK
from storage.tables.column_types import ERA, metadata

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

WORDS = r"""
CREATE OR REPLACE FUNCTION holdfast_words(name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT regexp_replace(lower(name),
     '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u007f]+', ' ', 'g') $$
"""
"""The words of a name, by which it is searched: whatever stands between them is left
out, so that a search is about words, and never about a parser's idea of an address."""

OUTCOMES_ARE_SOUND = """
CREATE OR REPLACE FUNCTION holdfast_outcomes_are_sound(
  records integer[], company_ids text[], person_ids text[], outcomes text[],
  email_found boolean[], phone_found boolean[], codes text[], changes text[])
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT bool_and(
            record IS NOT NULL AND (record < next) IS NOT FALSE
            AND company_id IS NOT NULL
            AND outcome IN ('delivered', 'excluded', 'rejected', 'unreached')
            AND CASE outcome WHEN 'rejected' THEN code IS NOT NULL
                             WHEN 'unreached' THEN code IS NULL ELSE true END
            AND (change IS NULL OR (outcome = 'delivered'
                 AND change IN ('created', 'updated', 'unchanged')))
            AND email IS NOT NULL AND phone IS NOT NULL
            AND ((outcome = 'delivered' AND person_id IS NOT NULL)
                 OR NOT (email OR phone))) IS TRUE
     FROM unnest(records, records[2:], company_ids, person_ids, outcomes,
                 email_found, phone_found, codes, changes)
       AS each (record, next, company_id, person_id, outcome, email, phone, code,
                change) $$
"""
"""What holds of each record of a batch: they ascend, and each ended in a way there is.

One that was delivered may have a code too, where its link was refused, and one that
was excluded, where the CRM's owner wants it left alone."""

OUTCOMES = """
CREATE OR REPLACE VIEW outcomes AS
SELECT job_id, license_id, record, company_id, person_id, outcome, email_found,
       phone_found, code, field, message, change, link
  FROM record_outcomes
UNION ALL
SELECT b.job_id, b.license_id, e.record, e.company_id, e.person_id, e.outcome,
       e.email_found, e.phone_found, e.code, e.field, e.message, e.change, e.link
  FROM outcome_batches AS b
 CROSS JOIN LATERAL unnest(
         b.records, b.company_ids, b.person_ids, b.outcomes, b.email_found,
         b.phone_found, b.codes, b.fields, b.messages, b.changes, b.links)
       AS e (record, company_id, person_id, outcome, email_found, phone_found, code,
             field, message, change, link)
"""
"""What became of each record, whichever way it is kept."""

CHANGE_OUTCOME = """
CREATE OR REPLACE FUNCTION holdfast_change_outcome() RETURNS trigger
LANGUAGE plpgsql AS
$$ BEGIN
     IF TG_OP = 'INSERT' THEN
       INSERT INTO record_outcomes
              (job_id, license_id, record, company_id, person_id, outcome, email_found,
               phone_found, code, field, message, change, link)
       SELECT NEW.*;
       RETURN NEW;
     END IF;
     OLD.message := NULL;
     IF NEW IS DISTINCT FROM OLD THEN
       RAISE EXCEPTION 'of an outcome its message alone is ever removed'
         USING ERRCODE = 'restrict_violation';
     END IF;
     UPDATE record_outcomes SET message = NULL
      WHERE job_id = NEW.job_id AND record = NEW.record;
     UPDATE outcome_batches
        SET messages[array_position(records, NEW.record)] = NULL
      WHERE job_id = NEW.job_id AND messages IS NOT NULL
        AND NEW.record BETWEEN first_record AND last_record;
     RETURN NEW;
   END $$
"""
"""How code of before, which knows one table alone, goes on beside that of now.

It fills the rows of before. Its worker and one of now cannot both write what became
of a record: the chunk's cursor, moved in the same transaction, lets one through."""

OUTCOMES_CHANGED = """
CREATE OR REPLACE TRIGGER outcomes_changed INSTEAD OF INSERT OR UPDATE ON outcomes
FOR EACH ROW EXECUTE FUNCTION holdfast_change_outcome()
"""

REFUSE_CHANGE = """
CREATE OR REPLACE FUNCTION holdfast_refuse_change() RETURNS trigger
LANGUAGE plpgsql AS
$$ BEGIN
     RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME
       USING ERRCODE = 'restrict_violation';
   END $$
"""


def _erases(name: str, table: str, row_id: str, erased: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger
LANGUAGE plpgsql AS
$$ BEGIN
     IF TG_OP = 'UPDATE' THEN
       OLD.{erased};
       IF NEW IS NOT DISTINCT FROM OLD AND EXISTS (
            SELECT FROM chain_erasures
             WHERE table_name = {table} AND row_id = OLD.{row_id}) THEN
         RETURN NEW;
       END IF;
     END IF;
     RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME
       USING ERRCODE = 'restrict_violation';
   END $$
"""


ERASE_REASON = _erases(
    "holdfast_erase_reason", "'refunds'", "charge_id", "reason := ''"
)
"""What a person wrote is removed, and nothing else, once it is noted that it is."""
ERASE_SALT = _erases("holdfast_erase_salt", "OLD.table_name", "row_id", "salt := NULL")
"""The same of what its digest was made with."""

APPEND_ONLY = (
    *("transfers", "charges", "refunds", "provider_costs"),
    *("audit_acknowledgements", "actions", "job_changes", "statements"),
    *("chain_runs", "chain_links", "chain_texts", "chain_erasures"),
)

_CHANGES = {
    "refunds": "holdfast_erase_reason",
    "chain_texts": "holdfast_erase_salt",
}


def append_only(table: str) -> tuple[str, str]:
    """The triggers that refuse to change, remove or truncate rows of a table."""
    judge = _CHANGES.get(table, "holdfast_refuse_change")
    no_change = f"""
CREATE OR REPLACE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION {judge}()
"""
    no_truncate = f"""
CREATE OR REPLACE TRIGGER {table}_never_truncated BEFORE TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION holdfast_refuse_change()
"""
    return no_change, no_truncate


SYSTEM_IDENTIFIER = """
CREATE OR REPLACE FUNCTION holdfast_system_identifier() RETURNS bigint
LANGUAGE plpgsql VOLATILE AS
$$ BEGIN
     RETURN (SELECT system_identifier FROM pg_control_system());
   EXCEPTION WHEN insufficient_privilege THEN
     RETURN 0;
   END $$
"""
"""Which server this is; 0 where it does not say so to whoever asks."""

MONEY_MOVES = f"""
CREATE OR REPLACE FUNCTION holdfast_money_moves() RETURNS trigger
LANGUAGE plpgsql AS
$$ DECLARE
     last chain_runs;
   BEGIN
     SELECT * INTO last FROM chain_runs ORDER BY n DESC LIMIT 1;
     IF FOUND AND (
          last.system_identifier <> holdfast_system_identifier()
          OR last.era * CAST('{ERA}' AS bigint)
             + CAST(CAST(pg_current_xact_id() AS text) AS bigint) < last.to_transaction)
     THEN
       RAISE EXCEPTION 'the database was restored: `holdfast audit --new-era` lets '
         'credits move again' USING ERRCODE = '{MONEY_STOPPED}';
     END IF;
     PERFORM set_config('holdfast.money_moves', 'yes', false);
     RETURN NULL;
   END $$
"""  # noqa: S608 - constants only
"""Asked once a session: a restored database may count transactions anew, below what
is sealed, and whatever it wrote then would look like a forged row for ever."""


def money_moves(table: str, change: str) -> str:
    """The trigger that lets nothing change in a table that was restored."""
    return f"""
CREATE OR REPLACE TRIGGER {table}_money_moves BEFORE {change} ON {table}
FOR EACH STATEMENT WHEN (current_setting('holdfast.money_moves', true) IS DISTINCT FROM 'yes')
EXECUTE FUNCTION holdfast_money_moves()
"""  # noqa: E501 - as PostgreSQL spells it


STANDS_STILL = (
    ("transfers", "INSERT"),
    ("charges", "INSERT"),
    ("refunds", "INSERT"),
    # Nobody takes a chunk either: what it sends could not be settled.
    ("chunks", "UPDATE"),
    # A closing must stand above what is sealed.
    ("periods", "UPDATE OF closed_at"),
)

CLOSED_FOR_GOOD = """
CREATE OR REPLACE TRIGGER reservations_closed_for_good
BEFORE UPDATE OR DELETE ON reservations
FOR EACH ROW WHEN (OLD.state = 'closed')
EXECUTE FUNCTION holdfast_refuse_change()
"""

KEEP_CREDIT_NOTE = """
CREATE OR REPLACE FUNCTION holdfast_keep_credit_note() RETURNS trigger
LANGUAGE plpgsql AS
$$ DECLARE kept credit_notes;
   BEGIN
     IF TG_OP = 'UPDATE' THEN
       kept := OLD;
       kept.reason := CASE WHEN NEW.reason IS NOT NULL THEN OLD.reason END;
       IF OLD.state = 'awaiting_approval' THEN
         kept.state := NEW.state;
         kept.number := NEW.number;
         kept.credits := CASE NEW.state WHEN 'booked' THEN NEW.credits
                                        ELSE OLD.credits END;
         kept.decided_by := NEW.decided_by;
         kept.decided_key_id := NEW.decided_key_id;
         kept.decided_at := NEW.decided_at;
         kept.decision_reason := NEW.decision_reason;
       ELSIF NEW.decision_reason IS NULL THEN
         kept.decision_reason := NULL;
       END IF;
       IF NEW IS NOT DISTINCT FROM kept THEN RETURN NEW; END IF;
     END IF;
     RAISE EXCEPTION 'a credit note is decided on once, and never changed'
       USING ERRCODE = 'restrict_violation';
   END $$
"""
"""What was asked stays as it was; of what was decided, words alone can be erased."""

CREDIT_NOTES_STAY = (
    """
CREATE OR REPLACE TRIGGER credit_notes_stay BEFORE UPDATE OR DELETE ON credit_notes
FOR EACH ROW EXECUTE FUNCTION holdfast_keep_credit_note()
""",
    """
CREATE OR REPLACE TRIGGER credit_notes_never_truncated BEFORE TRUNCATE ON credit_notes
FOR EACH STATEMENT EXECUTE FUNCTION holdfast_refuse_change()
""",
)
PERIODS_CLOSED_FOR_GOOD = """
CREATE OR REPLACE TRIGGER periods_closed_for_good
BEFORE UPDATE OF closed_at, closed_in ON periods
FOR EACH ROW WHEN (OLD.closed_at IS NOT NULL)
EXECUTE FUNCTION holdfast_refuse_change()
"""

_WAITS = "state = 'pending' AND run_at <= clock_timestamp()"

TELL_OF_WORK = f"""
CREATE OR REPLACE FUNCTION holdfast_tell_of_work() RETURNS trigger
LANGUAGE plpgsql AS
$$ BEGIN
     IF EXISTS (SELECT FROM outbox WHERE {_WAITS})
        OR EXISTS (SELECT FROM chunks WHERE {_WAITS}) THEN
       PERFORM pg_notify('{WORK}', '');
     END IF;
     RETURN NULL;
   END $$
"""  # noqa: S608 - constants only
"""Said once a transaction, whatever it does, and where nothing waits not at all."""

_COMES_UP = "(NEW.state = 'pending' AND NEW.run_at < OLD.run_at)"
_IS_LET_GO = "(OLD.state = 'running' AND NEW.state IN ('pending', 'done'))"

TELLS_OF_WORK: tuple[str, ...] = (
    """
CREATE OR REPLACE TRIGGER chunks_tell_of_new AFTER INSERT ON chunks
FOR EACH STATEMENT EXECUTE FUNCTION holdfast_tell_of_work()
""",
    # A chunk that ends makes room for the next.
    f"""
CREATE OR REPLACE TRIGGER chunks_tell_of_work AFTER UPDATE OF state, run_at ON chunks
FOR EACH ROW WHEN ({_IS_LET_GO} OR {_COMES_UP})
EXECUTE FUNCTION holdfast_tell_of_work()
""",
    # At the end of the transaction: it may have taken what it has put in.
    """
DO $$ BEGIN
  CREATE CONSTRAINT TRIGGER outbox_tells_of_new AFTER INSERT ON outbox
  DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION holdfast_tell_of_work();
EXCEPTION WHEN duplicate_object THEN NULL;
END $$
""",
    f"""
CREATE OR REPLACE TRIGGER outbox_tells_of_work AFTER UPDATE OF state, run_at ON outbox
FOR EACH ROW WHEN ({_IS_LET_GO} OR {_COMES_UP})
EXECUTE FUNCTION holdfast_tell_of_work()
""",
    # The chunks of a paused job wait, but not to be handed out.
    """
CREATE OR REPLACE TRIGGER jobs_tell_of_work AFTER UPDATE OF state ON jobs
FOR EACH ROW WHEN (OLD.state IN ('pausing', 'paused') OR NEW.state = 'cancelling')
EXECUTE FUNCTION holdfast_tell_of_work()
""",
    """
CREATE OR REPLACE TRIGGER scope_pauses_tell_of_work AFTER DELETE ON scope_pauses
FOR EACH STATEMENT EXECUTE FUNCTION holdfast_tell_of_work()
""",
)
"""Whatever makes something wait to be handed out says so, once it is committed."""

INTENTS_LAST = """
CREATE OR REPLACE FUNCTION holdfast_intents_last() RETURNS trigger
LANGUAGE plpgsql AS
$$ DECLARE
     batch intent_batches;
   BEGIN
     FOR batch IN SELECT * FROM intent_batches
                   WHERE job_id = NEW.job_id AND chunk_id = NEW.id ORDER BY id LOOP
       INSERT INTO intents AS kept (job_id, first_line, kind, our_id, change, their_id,
                                   fields)
       SELECT NEW.job_id, NEW.first_line, batch.kind, each.our_id, batch.change,
              each.their_id, batch.fields
         FROM unnest(batch.our_ids, batch.their_ids) AS each (our_id, their_id)
        ORDER BY each.our_id
       ON CONFLICT (job_id, first_line, kind, our_id) DO UPDATE
          SET fields = ARRAY(SELECT unnest(kept.fields)
                             UNION SELECT unnest(excluded.fields));
     END LOOP;
     DELETE FROM intent_batches WHERE job_id = NEW.job_id AND chunk_id = NEW.id;
     RETURN NULL;
   END $$
"""
"""What is intended already stays, with what more is to be written."""

CHUNKS_LEAVE_INTENTS = """
CREATE OR REPLACE TRIGGER chunks_leave_intents AFTER UPDATE OF state ON chunks
FOR EACH ROW WHEN (OLD.state = 'running' AND NEW.state <> 'running' AND NEW.doubted_at IS NOT NULL)
EXECUTE FUNCTION holdfast_intents_last()
"""  # noqa: E501 - as PostgreSQL spells it
"""Of a chunk that stops in doubt, whoever runs it next finds what was intended."""

CHANGE_JOB = """
CREATE OR REPLACE FUNCTION holdfast_job_changed() RETURNS trigger
LANGUAGE plpgsql AS
$$ BEGIN
     IF OLD.state <> NEW.state OR OLD.waiting_reason IS DISTINCT FROM NEW.waiting_reason THEN
       INSERT INTO job_changes (job_id, at, from_state, to_state, waiting_reason, action_id)
       VALUES (NEW.id, holdfast_now(), OLD.state, NEW.state, NEW.waiting_reason,
               CAST(nullif(current_setting('holdfast.action', true), '') AS bigint));
     END IF;
     RETURN NULL;
   END $$
"""  # noqa: E501 - as PostgreSQL spells it
"""Whoever acts has named the action to this transaction (`action_log`)."""

JOBS_CHANGED = """
CREATE OR REPLACE TRIGGER jobs_changed AFTER UPDATE OF state ON jobs
FOR EACH ROW WHEN (OLD.state IN ('pausing', 'paused', 'cancelling') OR NEW.state IN ('pausing', 'paused', 'cancelling', 'failed'))
EXECUTE FUNCTION holdfast_job_changed()
"""  # noqa: E501 - as PostgreSQL spells it
"""A job that goes its normal way is never written down here: each change of its state
costs a look, some 3 µs of PostgreSQL's time. So the condition is short: it is parsed
anew with each statement."""

GUARDS: tuple[str, ...] = (
    BUSINESS_NOW,
    CONFIRMED_NOW,
    BELIEVED_CLOCK,
    CONFIRMED_CLOCK,
    LICENSE_NOW,
    RUNNING_PERIOD,
    OUTCOMES,
    CHANGE_OUTCOME,
    OUTCOMES_CHANGED,
    REFUSE_CHANGE,
    ERASE_REASON,
    ERASE_SALT,
    *(trigger for table in APPEND_ONLY for trigger in append_only(table)),
    SYSTEM_IDENTIFIER,
    MONEY_MOVES,
    *(money_moves(table, change) for table, change in STANDS_STILL),
    CLOSED_FOR_GOOD,
    KEEP_CREDIT_NOTE,
    *CREDIT_NOTES_STAY,
    PERIODS_CLOSED_FOR_GOOD,
    TELL_OF_WORK,
    *TELLS_OF_WORK,
    INTENTS_LAST,
    CHUNKS_LEAVE_INTENTS,
    CHANGE_JOB,
    JOBS_CHANGED,
)

for _ground in (TRIMMED, WORDS, OUTCOMES_ARE_SOUND):
    event.listen(
        metadata,
        "before_create",
        DDL(_ground.replace("%", "%%")),  # type: ignore[no-untyped-call]
    )

for _guard in GUARDS:
    event.listen(
        metadata,
        "after_create",
        DDL(_guard.replace("%", "%%")),  # type: ignore[no-untyped-call]
    )
