"""The states of jobs, chunks and outbox entries, with a sentence for each edge. Pure.

Edges are taken only by `UPDATE ... WHERE state = ...` whose rows are counted, so
that of two who try, one moves and the other sees that it did not.
"""

from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands; clients see these words."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    FINISHING = "finishing"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    CANCELLED = "cancelled"
    FAILED = "failed"


ENDED = frozenset(
    {
        JobState.SUCCEEDED,
        JobState.PARTIAL,
        JobState.CANCELLED,
        JobState.FAILED,
    },
)

JOB_EDGES: dict[tuple[JobState, JobState], str] = {
    (JobState.QUEUED, JobState.RUNNING): "A worker took the first chunk.",
    (JobState.QUEUED, JobState.PAUSED): "Paused before anything ran.",
    (JobState.QUEUED, JobState.CANCELLING): "Cancelled before anything ran.",
    (JobState.QUEUED, JobState.FINISHING): "A job without records has nothing to run.",
    (JobState.RUNNING, JobState.PAUSING): "Asked to pause; batches under way end.",
    (JobState.RUNNING, JobState.CANCELLING): "Asked to cancel; batches under way end.",
    (JobState.RUNNING, JobState.FINISHING): "The last chunk is done.",
    (JobState.PAUSING, JobState.PAUSED): "The last running chunk was given back.",
    (JobState.PAUSING, JobState.RUNNING): "Resumed before it had come to rest.",
    (JobState.PAUSING, JobState.CANCELLING): "Cancelled while coming to rest.",
    (JobState.PAUSING, JobState.FINISHING): "The last chunk was done before the pause.",
    (JobState.PAUSED, JobState.QUEUED): "Resumed.",
    (JobState.PAUSED, JobState.CANCELLING): "Cancelled, or paused for too long.",
    (JobState.CANCELLING, JobState.FINISHING): "No chunk runs any more.",
    (JobState.FINISHING, JobState.SUCCEEDED): "Every record delivered or excluded.",
    (JobState.FINISHING, JobState.PARTIAL): "Some records rejected.",
    (JobState.FINISHING, JobState.CANCELLED): "Cancelled; what was settled is sealed.",
    (JobState.FINISHING, JobState.FAILED): "An error that is not a record's.",
}


class ChunkState(StrEnum):
    """Where a chunk stands."""

    PENDING = "pending"
    """Waits for the dispatcher, not before its `run_at`."""
    DISPATCHED = "dispatched"
    """Its id was handed to the broker; a lost message brings it back to pending."""
    RUNNING = "running"
    """A worker holds its lease; a lapsed lease brings it back to pending."""
    DONE = "done"
    """Each of its records has an outcome."""
    CANCELLED = "cancelled"
    """Its job was stopped; the records from its cursor on stay unreached."""


class EntryState(StrEnum):
    """Where an outbox entry stands; the same life as a chunk's."""

    PENDING = "pending"
    DISPATCHED = "dispatched"
    RUNNING = "running"
    DONE = "done"


class DryRunState(StrEnum):
    """Where a dry run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class LookupState(StrEnum):
    """Where a request to a provider stands."""

    PREPARED = "prepared"
    """Remembered; whether it reached the provider is not known yet."""
    SENT = "sent"
    """The provider has given it an id."""
    ANSWERED = "answered"
    EXPIRED = "expired"
    """No answer came before its deadline: that counts as not found."""
