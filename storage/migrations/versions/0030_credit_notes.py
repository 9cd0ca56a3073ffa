"""credit notes: refunds that name who decided, and a second person above an amount.

Code of before goes on beside it: what it gives back is in no note. What was given back
before is in none either.
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

TABLES = """
CREATE SEQUENCE credit_notes_id_seq AS bigint;
CREATE TABLE credit_notes (
  id bigint NOT NULL,
  license_id text COLLATE "C" NOT NULL,
  number bigint,
  state text COLLATE "C" NOT NULL,
  job_id text COLLATE "C",
  credits bigint NOT NULL,
  reason text,
  author text NOT NULL,
  person text,
  key_id text COLLATE "C",
  counted_as text,
  created_at timestamptz NOT NULL,
  decided_by text,
  decided_key_id text COLLATE "C",
  decided_at timestamptz,
  decision_reason text,
  CONSTRAINT credit_notes_pkey PRIMARY KEY (id),
  CONSTRAINT credit_notes_license_id_fkey FOREIGN KEY (license_id)
    REFERENCES licenses (id),
  CONSTRAINT credit_notes_key_id_fkey FOREIGN KEY (key_id) REFERENCES keys (id),
  CONSTRAINT credit_notes_decided_key_id_fkey FOREIGN KEY (decided_key_id)
    REFERENCES keys (id),
  CONSTRAINT credit_notes_license_id_number_key UNIQUE (license_id, number),
  CONSTRAINT credit_notes_id_state_key UNIQUE (id, state),
  CONSTRAINT credit_notes_state_check
    CHECK (state IN ('awaiting_approval', 'booked', 'rejected')),
  CONSTRAINT credit_notes_credits_check CHECK (credits > 0),
  CONSTRAINT credit_notes_positive_check CHECK (number > 0),
  CONSTRAINT credit_notes_number_check
    CHECK ((state = 'booked') = (number IS NOT NULL)),
  CONSTRAINT credit_notes_decided_check
    CHECK ((state = 'awaiting_approval') = (decided_at IS NULL)
           AND (state <> 'awaiting_approval' OR decided_by IS NULL)
           AND (state <> 'rejected' OR decided_by IS NOT NULL)),
  CONSTRAINT credit_notes_decision_reason_check
    CHECK (state = 'rejected' OR decision_reason IS NULL),
  CONSTRAINT credit_notes_approver_check
    CHECK (state <> 'booked' OR decided_by IS NULL
           OR (person IS NOT NULL AND lower(decided_by) <> lower(person))),
  CONSTRAINT credit_notes_counted_as_check
    CHECK (counted_as IS NULL OR (state = 'booked' AND decided_by IS NULL))
);
CREATE INDEX credit_notes_license_id_id_idx ON credit_notes (license_id, id);
CREATE INDEX credit_notes_waiting_idx ON credit_notes (id)
  WHERE state = 'awaiting_approval';
CREATE TABLE credit_note_charges (
  credit_note_id bigint NOT NULL,
  charge_id bigint NOT NULL,
  state text COLLATE "C" NOT NULL,
  period_id bigint NOT NULL,
  credits integer NOT NULL,
  CONSTRAINT credit_note_charges_pkey PRIMARY KEY (credit_note_id, charge_id),
  CONSTRAINT credit_note_charges_charge_id_fkey FOREIGN KEY (charge_id)
    REFERENCES charges (id),
  CONSTRAINT credit_note_charges_period_id_fkey FOREIGN KEY (period_id)
    REFERENCES periods (id),
  CONSTRAINT credit_note_charges_credit_note_id_fkey
    FOREIGN KEY (credit_note_id, state) REFERENCES credit_notes (id, state)
    ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED
);
CREATE UNIQUE INDEX credit_note_charges_waiting_idx ON credit_note_charges (charge_id)
  WHERE state = 'awaiting_approval';
CREATE INDEX credit_note_charges_period_id_idx
  ON credit_note_charges (period_id, credit_note_id);
CREATE TABLE credit_note_numbers (
  license_id text COLLATE "C" NOT NULL,
  last bigint NOT NULL,
  CONSTRAINT credit_note_numbers_pkey PRIMARY KEY (license_id),
  CONSTRAINT credit_note_numbers_license_id_fkey FOREIGN KEY (license_id)
    REFERENCES licenses (id),
  CONSTRAINT credit_note_numbers_last_check CHECK (last > 0)
);
CREATE TABLE refund_allowances (
  license_id text COLLATE "C" NOT NULL,
  counted_as text COLLATE "C" NOT NULL,
  day date NOT NULL,
  credits bigint NOT NULL,
  CONSTRAINT refund_allowances_pkey PRIMARY KEY (license_id, counted_as, day),
  CONSTRAINT refund_allowances_license_id_fkey FOREIGN KEY (license_id)
    REFERENCES licenses (id),
  CONSTRAINT refund_allowances_credits_check CHECK (credits > 0)
)
"""

GUARDS = (
    """
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
""",
    """
CREATE OR REPLACE TRIGGER credit_notes_stay BEFORE UPDATE OR DELETE ON credit_notes
FOR EACH ROW EXECUTE FUNCTION holdfast_keep_credit_note()
""",
    """
CREATE OR REPLACE TRIGGER credit_notes_never_truncated BEFORE TRUNCATE ON credit_notes
FOR EACH STATEMENT EXECUTE FUNCTION holdfast_refuse_change()
""",
)


def upgrade() -> None:
    """Keys of before name nobody: their holders may be named once, by a command."""
    for statement in (*TABLES.split(";"), *GUARDS):
        op.execute(statement)
    op.add_column(
        "refunds",
        sa.Column(
            "credit_note_id",
            sa.BigInteger(),
            sa.ForeignKey(
                "credit_notes.id",
                name="refunds_credit_note_id_fkey",
                deferrable=True,
                initially="DEFERRED",
            ),
        ),
    )
    op.create_index("refunds_credit_note_id_idx", "refunds", ["credit_note_id"])
    op.add_column("keys", sa.Column("person", sa.Text()))
    op.create_check_constraint("person", "keys", "length(person) BETWEEN 1 AND 200")


def downgrade() -> None:
    raise RuntimeError("what was done once is not forgotten: restore a backup instead")
