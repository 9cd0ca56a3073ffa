"""What travels through the broker: the names of queues, and of the tasks in them."""

RUN_CHUNK = "chunk.run"
"""The task that runs a chunk, by its id."""

RUN_ENTRY = "outbox.run"
"""The task that handles an entry of the outbox, by its id."""

CHUNKS = "chunks"
"""The queue of chunks."""

SMALL = "small"
"""The queue of chunks of small jobs, which must not wait behind those of large ones."""

CONTROL = "control"
"""The queue of what must not wait behind chunks: completions, announcements."""

QUEUES = (CONTROL, SMALL, CHUNKS)
"""All of them: a worker reads the first one first, where the broker has an order."""

TAKEN = "taken"
"""No queue of the broker: who reads it takes small jobs' chunks from the database."""
