"""What travels through the broker: the names of queues, and of the tasks in them."""

RUN_CHUNK = "chunk.run"


RUN_ENTRY = "outbox.run"


CHUNKS = "chunks"
"""The queue of chunks."""


CONTROL = "control"
"""The queue of what must not wait behind chunks: completions, announcements."""
