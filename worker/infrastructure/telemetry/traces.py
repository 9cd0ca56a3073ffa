"""Traces: spans that lead from a submission to its charges, through all processes.

The job keeps where its submission stands in a trace, and whoever works for the job goes
on from there: a message of the broker carries an id and nothing else. Off unless a
collector is named, and then nothing of OpenTelemetry is loaded.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

_NAME = "holdfast"
_HEADER = "traceparent"
_EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


class MissingExtra(Exception):
    """OpenTelemetry is asked for and not installed."""


class _Exporter(NamedTuple):
    """What one process exports by; it must not outlive a fork."""

    pid: int
    provider: "TracerProvider"
    tracer: "Tracer"


class _State:
    url: str | None = None
    service = _NAME
    exporter: _Exporter | None = None
    lock = threading.Lock()


def export_to(url: str | None, service: str) -> None:
    """Send spans to a collector that speaks OTLP over HTTP; None: make none.

    Raises `MissingExtra`.
    """
    if url is not None:
        try:
            # Now, before any fork: children share what is loaded.
            import_module(_EXPORTER)
        except ImportError as error:
            why = "the extra otel is not installed: pip install holdfast[otel]"
            raise MissingExtra(why) from error
    _State.url, _State.service = url, service


def are_made() -> bool:
    """Whether spans are made here."""
    return _State.url is not None


@contextmanager
def span(
    name: str, *, parent: str | None = None, **attributes: str | int
) -> Iterator[None]:
    """Make a span around a piece of work; one that raises has failed.

    It belongs to the span around it; where there is none, to `parent`, a traceparent.
    """
    if _State.url is None:
        yield
        return
    named = {f"holdfast.{key}": value for key, value in attributes.items()}
    with _tracer().start_as_current_span(name, _beginning(parent), attributes=named):
        yield


@contextmanager
def continued(parent: str | None) -> Iterator[None]:
    """Let spans inside belong to one that somebody else has begun, a traceparent."""
    if _State.url is None or parent is None:
        yield
        return
    from opentelemetry import context  # noqa: PLC0415 - only where traces are made

    mark = context.attach(_remote(parent))
    try:
        yield
    finally:
        context.detach(mark)


def traceparent() -> str | None:
    """The span that is under way here, for others to go on from."""
    if _State.url is None:
        return None
    from opentelemetry.trace.propagation import tracecontext  # noqa: PLC0415 - the same

    carrier: dict[str, str] = {}
    tracecontext.TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(_HEADER)


def close() -> None:
    """Send what has not been sent, at the end of a process."""
    exporter = _State.exporter
    if exporter is not None and exporter.pid == os.getpid():
        exporter.provider.shutdown()
        _State.exporter = None


def _beginning(parent: str | None) -> "Context | None":
    """Where a span begins that has none around it."""
    from opentelemetry import trace  # noqa: PLC0415 - the same

    if parent is None or trace.get_current_span().get_span_context().is_valid:
        return None
    return _remote(parent)


def _remote(parent: str) -> "Context":
    from opentelemetry.trace.propagation import tracecontext  # noqa: PLC0415 - the same

    return tracecontext.TraceContextTextMapPropagator().extract({_HEADER: parent})


def _tracer() -> "Tracer":
    exporter = _State.exporter
    if exporter is None or exporter.pid != os.getpid():
        with _State.lock:
            exporter = _State.exporter
            if exporter is None or exporter.pid != os.getpid():
                exporter = _State.exporter = _made()
    return exporter.tracer


def _made() -> _Exporter:
    """A thread of its own sends spans, some at once: nobody waits for the collector."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - the same
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - the same
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - the same
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - the same

    provider = TracerProvider(
        resource=Resource.create(
            {"service.name": _State.service, "process.pid": os.getpid()}
        )
    )
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=_State.url))
    )
    return _Exporter(os.getpid(), provider, provider.get_tracer(_NAME))


def _begin_anew() -> None:
    """Make nothing of a lock that another thread held at the fork."""
    _State.lock = threading.Lock()


os.register_at_fork(after_in_child=_begin_anew)
