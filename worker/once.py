"""What makes a thing once: a note that is written in the transaction that makes it."""

from collections.abc import Callable

from sqlalchemy import Connection

Once = Callable[[Connection, str], None]
"""Called with the id of what was made; raises where the same request made it before."""
