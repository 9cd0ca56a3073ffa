"""outcomes by batches: what is there stays as it is, and one view shows both.

Takes a moment's lock of the table, however many rows it has. Code of before goes on
beside it: it finds a view by the table's name, which shows all and takes its rows.
"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_RENAMED = (
    "pkey",
    "job_id_fkey",
    "outcome_check",
    "code_check",
    "change_check",
    "found_check",
)

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

OUTCOMES_CHANGED = """
CREATE OR REPLACE TRIGGER outcomes_changed INSTEAD OF INSERT OR UPDATE ON outcomes
FOR EACH ROW EXECUTE FUNCTION holdfast_change_outcome()
"""

OUTCOME_BATCHES = """
CREATE TABLE outcome_batches (
  job_id text COLLATE "C" NOT NULL,
  reservation_id bigint NOT NULL,
  license_id text COLLATE "C" NOT NULL,
  first_record integer NOT NULL,
  last_record integer NOT NULL,
  records integer[] NOT NULL,
  company_ids text[] COLLATE "C" NOT NULL,
  person_ids text[] COLLATE "C" NOT NULL,
  outcomes text[] NOT NULL,
  email_found boolean[] NOT NULL,
  phone_found boolean[] NOT NULL,
  codes text[],
  fields text[],
  messages text[],
  changes text[],
  links text[],
  CONSTRAINT outcome_batches_pkey PRIMARY KEY (job_id, first_record),
  CONSTRAINT outcome_batches_records_excl EXCLUDE USING gist (
    int8range(reservation_id * 2147483648 + first_record, reservation_id * 2147483648 + last_record, '[]') WITH &&),
  CONSTRAINT outcome_batches_records_check CHECK (
    first_record = records[1] AND last_record = records[cardinality(records)]
    AND coalesce(cardinality(fields), cardinality(records)) = cardinality(records)
    AND coalesce(cardinality(messages), cardinality(records)) = cardinality(records)
    AND coalesce(cardinality(links), cardinality(records)) = cardinality(records)),
  CONSTRAINT outcome_batches_sound_check CHECK (
    holdfast_outcomes_are_sound(records, company_ids, person_ids, outcomes, email_found, phone_found, codes, changes)))
"""

DELIVERED_COMPANIES = """
CREATE TABLE delivered_companies (
  license_id text COLLATE "C" NOT NULL,
  company_id text COLLATE "C" NOT NULL,
  job_id text COLLATE "C" NOT NULL,
  person_ids text[] COLLATE "C")
"""


def upgrade() -> None:
    op.execute(OUTCOMES_ARE_SOUND)
    op.execute(OUTCOME_BATCHES)
    op.execute(DELIVERED_COMPANIES)
    op.create_index(
        "delivered_companies_idx", "delivered_companies", ["license_id", "company_id"]
    )
    op.rename_table("outcomes", "record_outcomes")
    for name in _RENAMED:
        op.execute(
            f"ALTER TABLE record_outcomes RENAME CONSTRAINT outcomes_{name} TO record_outcomes_{name}"
        )
    op.execute(OUTCOMES)
    op.execute(CHANGE_OUTCOME)
    op.execute(OUTCOMES_CHANGED)


def downgrade() -> None:
    raise RuntimeError("what became of records is not taken apart: restore a backup")
