"""What travels through the broker: the names of queues, and of the tasks in them."""

RUN_CHUNK = "chunk.run"
"""The task that runs a chunk, by its id."""

RUN_ENTRY = "outbox.run"
"""The task that handles an entry of the outbox, by its id."""

CHUNKS = "chunks"
"""The queue of chunks."""

CONTROL = "control"
"""The queue of what must not wait behind chunks: completions, announcements."""
