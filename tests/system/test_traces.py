"""One trace from a submission to its charges, through real processes, by OTLP."""

import gzip
import os
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from tests.support.fleet import assert_exact, load_persons, submit
from worker.infrastructure.telemetry import traces

_SMALL, _LARGE = 5, 60


class Span(NamedTuple):
    """A span as the collector has it."""

    name: str
    trace: bytes
    id: bytes
    parent: bytes
    service: str
    pid: int
    job: str


class Collector:
    """What OTLP's own messages hold that were posted here."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.path == "/v1/traces"
                collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/traces"

    def take(self, request: ExportTraceServiceRequest) -> None:
        for some in request.resource_spans:
            of = {one.key: one.value for one in some.resource.attributes}
            for scope in some.scope_spans:
                for span in scope.spans:
                    named = {one.key: one.value for one in span.attributes}
                    job = named.get("holdfast.job")
                    self.spans.append(
                        Span(
                            span.name,
                            span.trace_id,
                            span.span_id,
                            span.parent_span_id,
                            of["service.name"].string_value,
                            of["process.pid"].int_value,
                            job.string_value if job else "",
                        )
                    )


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever, daemon=True)
    thread.start()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()
    thread.join()


@pytest.fixture
def traced(collector) -> Iterator[Collector]:
    """This process makes traces too."""
    traces.export_to(collector.url, "holdfast-test")
    yield collector
    traces.close()
    traces.export_to(None, "holdfast-test")


def test_one_trace_leads_from_a_submission_to_its_charges_through_all_processes(
    fleet, traced
):
    load_persons(fleet.deps, _LARGE)
    processes = fleet.start("worker", "dispatcher", TRACES_URL=traced.url)
    backend = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with traces.continued(backend):
        job = submit(fleet.deps, 0, _LARGE)
    assert_exact(fleet, job, 0, _LARGE)
    for process in processes:
        process.terminate()
        process.wait(60)
    traces.close()
    spans = [one for one in traced.spans if one.trace.hex() in backend]
    by_id = {one.id: one for one in spans}
    parents = defaultdict(set)
    for one in spans:
        above = by_id.get(one.parent)
        parents[one.name].add(above.name if above else one.parent.hex())
    assert parents == {
        "submit": {"b7ad6b7169203331"},
        "dispatch": {"submit"},
        "chunk": {"submit"},
        "batch": {"chunk"},
        "look up": {"batch"},
        "deliver": {"batch"},
        "checkpoint": {"batch"},
        "complete": {"chunk"},
        "seal": {"complete"},
    }
    assert {one.service for one in spans} == {
        "holdfast-test",
        "holdfast-worker",
        "holdfast-dispatcher",
    }
    assert len([one for one in spans if one.name == "checkpoint"]) == 15
    assert {one.job for one in spans if one.job} == {job}


@pytest.mark.slow
def test_the_process_for_small_jobs_goes_on_with_the_trace(fleet, traced):
    load_persons(fleet.deps, _SMALL)
    (worker,) = fleet.start("worker", TRACES_URL=traced.url)
    job = submit(fleet.deps, 0, _SMALL)
    assert_exact(fleet, job, 0, _SMALL)
    worker.terminate()
    worker.wait(60)
    traces.close()
    assert {"submit", "chunk", "complete"} <= {one.name for one in traced.spans}
    assert len({one.trace for one in traced.spans}) == 1
    assert len({one.pid for one in traced.spans}) == 2


def test_a_collector_that_is_away_stops_no_work(fleet):
    load_persons(fleet.deps, _SMALL)
    fleet.start("worker", TRACES_URL="http://127.0.0.1:1/v1/traces")
    job = submit(fleet.deps, 0, _SMALL)
    assert_exact(fleet, job, 0, _SMALL)


def test_without_a_collector_nothing_of_it_is_loaded():
    code = """
import sys
from worker.infrastructure.telemetry import traces
traces.export_to(None, "x")
with traces.continued("00-1-2-01"), traces.span("a"):
    assert traces.traceparent() is None
traces.close()
print([name for name in sys.modules if name.startswith("opentelemetry")])"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_collector_without_what_asks_it_is_refused_at_the_start(tmp_path):
    code = """
import sys
sys.modules["opentelemetry.exporter"] = None
sys.argv = ["holdfast", "worker"]
from worker.cli import main
main()"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ
        | {"HOLDFAST_TRACES_URL": "http://x", "HOLDFAST_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "HOLDFAST_TRACES_URL: the extra otel is not installed" in done.stderr
