"""The context of log lines: which chunk runs, for whom, and which request is answered.

It is bound around a piece of work, and reaches each line that is logged meanwhile, also
in what the work hands to threads, with `contextvars.copy_context().run`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

Fields = Mapping[str, str | int]
Source = Callable[[], Fields]
"""Says what holds at the moment of a line."""

NAMES = ("chunk", "attempt", "entry", "job", "license", "request")
"""What a line can carry, in this order."""

_sources: ContextVar[tuple[Source, ...]] = ContextVar("log_context", default=())
_ended: ContextVar[Fields | None] = ContextVar("log_context_ended", default=None)


@contextmanager
def bound(**fields: str | int) -> Iterator[None]:
    """Let all lines inside carry these, beside what is bound around it."""
    with bound_by(lambda: fields):
        yield


@contextmanager
def bound_by(source: Source) -> Iterator[None]:
    """Let all lines inside carry what is found when they are logged."""
    if not _sources.get():
        _ended.set(None)
    mark = _sources.set((*_sources.get(), source))
    try:
        yield
    finally:
        _ended.set({**(_ended.get() or {}), **fields()})
        _sources.reset(mark)


def ended() -> dict[str, str | int]:
    """What lines carried in the piece of work that has ended here last.

    Celery tells what became of a task once it has.
    """
    known = _ended.get() or {}
    return {name: known[name] for name in NAMES if name in known}


def fields() -> dict[str, str | int]:
    """What a line carries here, the innermost of each name."""
    found: dict[str, str | int] = {}
    for source in _sources.get():
        found.update(source())
    return {name: found[name] for name in NAMES if name in found}
