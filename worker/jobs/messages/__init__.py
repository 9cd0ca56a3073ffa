"""Messages of the broker: which are lost, which cannot be read, which come too late.

The database is the queue: a message is only an id. Start with `consumer`, by which a
worker takes them, and `lost_messages`, by which the dispatcher sends them again. It
imports what `worker/jobs` may.
"""
