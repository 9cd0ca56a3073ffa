"""Settling with outcomes against COPY of the same rows: the backend's CPU alone."""

from bench.measurements.session import Session
from bench.report.figures import (
    Bar,
    Figure,
    Rounds,
    Section,
    at_least,
    quotients,
    say,
    spread,
)
from bench.rivals import product
from bench.rivals.copied_batches import CONTACTS, CopiedBatches


def measure(session: Session) -> Section:
    """Settle and copy batch by batch on one backend."""
    batches = max(2, session.sizes.batches)
    rivals = session.rivals

    def run(number: int) -> tuple[float, float]:
        payer = rivals.new_job(batches * CONTACTS)
        with product.opened(rivals.url) as database:
            both = CopiedBatches(database, payer)
            # The first makes the tables that rows are copied into.
            pairs = [both.settle_and_copy(batch) for batch in range(batches)][1:]
        rivals.installation.rows(_DROP, database="rivals")
        rivals.check(payer, batches * CONTACTS)
        settled_s, copied_s = (sum(one) for one in zip(*pairs, strict=True))
        micro = 1e6 / len(pairs) / CONTACTS
        say(
            f"round {number + 1}: settle {settled_s * micro:.1f}, "
            f"COPY {copied_s * micro:.1f} µs a contact"
        )
        return settled_s * micro, copied_s * micro

    rounds = Rounds()
    settled, copied = zip(*rounds.of(session.sizes.rounds, run), strict=True)
    return Section(
        title="Settlement",
        sizes=f"{batches} batches of {CONTACTS} contacts, one backend",
        figures=[
            Figure(
                what="speed of settling with outcomes, of COPY of the same rows",
                held="settlement.cpu",
                values=quotients(copied, settled),
                goal=at_least(1),
                absolute=f"{spread(settled)} against {spread(copied)} µs a contact",
            )
        ],
        unit="µs of the backend's CPU a contact",
        bars=[
            Bar(label="settle with outcomes", parts={"postgres": settled}),
            Bar(label="COPY of the same rows", parts={"postgres": copied}),
        ],
        lost=rounds.lost,
    )


_DROP = """
DO $$ DECLARE made text;
BEGIN
  FOR made IN SELECT relname FROM pg_class
               WHERE relkind = 'r' AND relname LIKE '%\\_copied' LOOP
    EXECUTE format('DROP TABLE %I', made);
  END LOOP;
END $$
"""
