"""Chunks: taken under a lease, moved on by fenced checkpoints, given back or done.

The checkpoint is the heartbeat, the fence and the settlement in one transaction:
its first statement moves the cursor where chunk, attempt and position are still
this worker's; where they are not, nothing else happens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from pricing.findings import EmailLevel, OnlyWith
from pricing.plans import Item, Terms
from pricing.settlement import Outcome
from storage.crm_changes import Change
from storage.errors import InvariantBroken, Superseded
from storage.held_jobs import is_held
from storage.jobs import jobs
from storage.jobs.outcomes import OutcomeColumns, RecordOutcome, record_columns
from storage.ledger import settlement
from storage.ledger.claims import NO_CLAIMS, Claim, ClaimColumns
from storage.quotes import quotes
from storage.state_machine import JobState


class ChunkSlice(NamedTuple):
    """A chunk's slice of its job's input, by its first line."""

    job_id: str
    first_line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenChunk:
    """A chunk that this worker holds, with all it needs to run it.

    Positions count from 0 in the job's input: the chunk's bytes begin at line
    `first_line`, its work stands at `cursor` and ends before `stop`.
    """

    id: int
    attempt: int
    failures: int
    job_id: str
    kind: str
    first_byte: int
    bytes: int
    first_line: int
    cursor: int
    stop: int
    license_id: str
    user_id: str
    period_id: int
    reservation_id: int
    input: str
    columns: tuple[str, ...]
    retrieve: tuple[Item, ...]
    email_level: EmailLevel
    only_with: OnlyWith | None
    export: dict[str, Any] | None
    push: dict[str, Any] | None
    terms: Terms
    quoted_at: datetime
    doubted_at: datetime | None
    """Since when a try before this one may have sent something that is not settled."""
    doubt_stop: int | None
    """Where the batch ended that it may have sent."""
    is_to_conclude: bool
    """Whether it is in doubt for too long to ask what became of it."""
    is_ending: bool
    """Whether its job is cancelled: nothing is begun that is not in doubt."""
    job_waits: bool
    """Whether the job said, when the chunk was taken, that it waits."""
    job_records: int
    traceparent: str | None
    """Where its job's submission stands in a trace."""

    @property
    def slice(self) -> ChunkSlice:
        """What its intents are kept by."""
        return ChunkSlice(self.job_id, self.first_line)

    @property
    def payer(self) -> settlement.Payer:
        """For whom its batches settle."""
        return settlement.Payer(
            license_id=self.license_id,
            period_id=self.period_id,
            reservation_id=self.reservation_id,
            job_id=self.job_id,
            user_id=self.user_id,
            cut=self.terms.window_starts(self.quoted_at),
            views_count=self.terms.views_count,
        )


Keep = Callable[[Connection, TakenChunk, "Batch"], None]
"""Keeps what a delivery has to remember of a batch, in the transaction that settles
it."""

Park = Callable[[Connection, str, JobState], JobState]
"""Looks, once a batch is settled, whether to park its job; how that stands then."""


def keep_nothing(connection: Connection, chunk: TakenChunk, batch: "Batch") -> None:
    """Keep nothing beside the outcomes and the charges."""


def never_park(connection: Connection, job_id: str, state: JobState) -> JobState:
    """Let the job go on as it stands."""
    del connection, job_id
    return state


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one batch did: its outcomes in order, its claims, and what is to be kept.

    Claims that are `unchanged` are delivered, and nothing of them was sent.
    """

    start: int
    outcomes: OutcomeColumns
    claims: ClaimColumns
    unchanged: ClaimColumns = NO_CLAIMS
    keep: Keep = keep_nothing
    park: Park = never_park

    @classmethod
    def of(
        cls,
        start: int,
        outcomes: Sequence[RecordOutcome],
        claims: Sequence[Claim],
        keep: Keep = keep_nothing,
    ) -> "Batch":
        """A batch of outcomes and claims that come one by one."""
        return cls(
            start=start,
            outcomes=OutcomeColumns.of(outcomes),
            claims=ClaimColumns.of([each for each in claims if not each.unchanged]),
            unchanged=ClaimColumns.of([each for each in claims if each.unchanged]),
            keep=keep,
        )

    @property
    def stop(self) -> int:
        """The position after its last record."""
        return self.start + len(self.outcomes)

    def count(self, outcome: Outcome) -> int:
        """How many of its records ended so."""
        return self.outcomes.outcomes.count(outcome)

    def rejections(self) -> list[str]:
        """The code of each of its records that was rejected."""
        codes, outcomes = self.outcomes.codes, self.outcomes.outcomes
        return [
            code for place, code in codes.items() if outcomes[place] == Outcome.REJECTED
        ]

    def changes(self, change: Change) -> int:
        """How many of its records were created, updated, or left unchanged in a CRM."""
        return list(self.outcomes.changes.values()).count(change)


_TAKE = text(f"""
WITH taken AS (
  UPDATE chunks
     SET state = 'running', attempt = attempt + 1, owner = :owner,
         dispatched_at = NULL,
         lease_until = clock_timestamp() + make_interval(secs => :lease_s)
   WHERE id = :id
     AND (state = 'dispatched' OR (state = 'pending' AND run_at <= clock_timestamp()))
     AND EXISTS (SELECT 1 FROM jobs
                  WHERE jobs.id = chunks.job_id AND NOT {is_held("jobs")}
                    AND (jobs.state IN ('queued', 'running')
                      OR (jobs.state = 'cancelling' AND doubted_at IS NOT NULL)))
  RETURNING id, attempt, failures, job_id, first_byte, bytes, first_line, cursor, stop,
            doubted_at, doubt_stop, conclude_at),
begun AS (
  UPDATE jobs SET state = 'running', started_at = coalesce(started_at, holdfast_now())
    FROM taken WHERE jobs.id = taken.job_id AND jobs.state = 'queued')
SELECT taken.*, j.kind, r.license_id, r.period_id, r.id AS reservation_id, q.user_id,
       q.input, q.columns, q.retrieve, q.email_level, q.only_with, q.export, q.push,
       q.terms, q.quoted_at, j.waiting_reason IS NOT NULL AS job_waits,
       j.records AS job_records, j.traceparent,
       j.state = 'cancelling' AS is_ending,
       conclude_at <= holdfast_clock() IS TRUE AS is_to_conclude
  FROM taken JOIN jobs AS j ON j.id = taken.job_id
  JOIN quotes AS q ON q.id = j.quote_id
  JOIN reservations AS r ON r.job_id = j.id
""")  # noqa: S608 - constants only


def take(
    connection: Connection,
    chunk_id: int,
    *,
    owner: str,
    lease_s: float,
) -> TakenChunk | None:
    """Hold a chunk for `lease_s`; None where somebody holds it or it may not run.

    Then `wait_on` must follow: its message is gone.

    Its job runs from then on. It is one statement, and needs no transaction. A chunk
    whose lease lapsed is for the sweeper, which counts the crash.
    """
    row = (
        connection.execute(_TAKE, {"id": chunk_id, "owner": owner, "lease_s": lease_s})
        .mappings()
        .one_or_none()
    )
    if row is None:
        return None
    return TakenChunk(
        **{name: row[name] for name in row if name != "conclude_at"}
        | {
            "columns": tuple(row["columns"]),
            "retrieve": tuple(Item(item) for item in row["retrieve"]),
            "email_level": EmailLevel(row["email_level"]),
            "only_with": OnlyWith(row["only_with"]) if row["only_with"] else None,
            "terms": quotes.terms_from(row["terms"]),
        },
    )


def wait_on(connection: Connection, chunk_id: int) -> None:
    """Let a chunk wait in the database that came by a message and may not run."""
    connection.execute(
        text("""
            UPDATE chunks SET state = 'pending', dispatched_at = NULL
             WHERE id = :id AND state = 'dispatched'"""),
        {"id": chunk_id},
    )


class Standing(NamedTuple):
    """How a job stands, and whether a pause of more than the job holds it."""

    state: JobState
    is_held: bool = False


_STANDING = text(f"""
SELECT state, {is_held("jobs")} AS is_held FROM jobs WHERE id = :job_id
""")  # noqa: S608 - constants only


def _standing_of(connection: Connection, chunk: TakenChunk) -> Standing:
    row = connection.execute(_STANDING, {"job_id": chunk.job_id}).one_or_none()
    if row is None:
        return Standing(JobState.FINISHING)
    return Standing(JobState(row.state), row.is_held)


_FENCE = text("""
UPDATE chunks
   SET cursor = :stop, crashes = 0, failures = 0, last_error = NULL, doubted_at = NULL,
       doubt_stop = NULL, conclude_at = NULL,
       created = created + :created, updated = updated + :updated,
       unchanged = unchanged + :unchanged,
       delivered = delivered + :delivered, excluded = excluded + :excluded,
       rejected = rejected + :rejected, emails_found = emails_found + :emails,
       phones_found = phones_found + :phones,
       state = CASE WHEN :stop = stop THEN 'done' ELSE state END,
       owner = CASE WHEN :stop = stop THEN NULL ELSE owner END,
       lease_until = CASE WHEN :stop < stop
         THEN clock_timestamp() + make_interval(secs => :lease_s) END
 WHERE id = :id AND attempt = :attempt AND state = 'running' AND cursor = :start
RETURNING state = 'done' AS done
""")


class Settled(NamedTuple):
    """What a batch has cost, and how its job stands: it may be paused or cancelled."""

    credits: int
    state: JobState
    is_held: bool = False


def checkpoint(
    connection: Connection,
    chunk: TakenChunk,
    batch: Batch,
    *,
    lease_s: float,
) -> Settled:
    """Settle a batch, record its outcomes, move the cursor, renew the lease.

    Raises `Superseded` where this attempt does not hold the chunk any more.
    """
    if not batch.outcomes:
        raise InvariantBroken(f"chunk {chunk.id}: a batch without records")
    fence = connection.execute(
        _FENCE,
        {
            "id": chunk.id,
            "attempt": chunk.attempt,
            "start": batch.start,
            "stop": batch.stop,
            "delivered": batch.count(Outcome.DELIVERED),
            "excluded": batch.count(Outcome.EXCLUDED),
            "rejected": batch.count(Outcome.REJECTED),
            "created": batch.changes(Change.CREATED),
            "updated": batch.changes(Change.UPDATED),
            "unchanged": batch.changes(Change.UNCHANGED),
            "emails": sum(batch.outcomes.email_found),
            "phones": sum(batch.outcomes.phone_found),
            "lease_s": lease_s,
        },
    ).one_or_none()
    if fence is None:
        raise Superseded(f"chunk {chunk.id} is not at attempt {chunk.attempt} any more")
    batch.keep(connection, chunk, batch)
    record_columns(connection, chunk.job_id, batch.outcomes)
    # Last: other batches of the job wait for what it locks until all is committed.
    credits_ = settlement.settle_columns(
        connection, chunk.payer, batch.claims, batch.unchanged
    )
    if fence.done:
        return Settled(credits_, jobs.close_chunks(connection, chunk.job_id, 1))
    return Settled(credits_, *_standing_of(connection, chunk))


def give_back(
    connection: Connection,
    chunk: TakenChunk,
    *,
    delay_s: float = 0,
    error: str | None = None,
) -> bool:
    """Let somebody else go on from the cursor, after `delay_s`.

    `error` counts a failure; a drain, a pause or a spent time budget is none.
    False where this attempt does not hold the chunk any more.
    """
    moved = connection.execute(
        text("""
            UPDATE chunks
               SET state = 'pending', lease_until = NULL, owner = NULL,
                   failures = failures
                     + CASE WHEN CAST(:error AS text) IS NULL THEN 0 ELSE 1 END,
                   last_error = coalesce(CAST(:error AS text), last_error),
                   run_at = clock_timestamp() + make_interval(secs => :delay_s)
             WHERE id = :id AND attempt = :attempt AND state = 'running'"""),
        {
            "id": chunk.id,
            "attempt": chunk.attempt,
            "delay_s": delay_s,
            "error": error,
        },
    )
    return moved.rowcount == 1


def renew(connection: Connection, chunk: TakenChunk, *, lease_s: float) -> Standing:
    """Hold a chunk on while its batch is not done yet; how its job stands.

    Raises `Superseded` where this attempt does not hold the chunk any more.
    """
    held = connection.execute(
        text("""
            UPDATE chunks
               SET lease_until = clock_timestamp() + make_interval(secs => :lease_s)
             WHERE id = :id AND attempt = :attempt AND state = 'running'"""),
        {"id": chunk.id, "attempt": chunk.attempt, "lease_s": lease_s},
    )
    if held.rowcount == 0:
        raise Superseded(f"chunk {chunk.id} is not at attempt {chunk.attempt} any more")
    return _standing_of(connection, chunk)
