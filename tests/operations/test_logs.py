"""What stands on each line of a log, in both formats, and what is found by it."""

import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextvars import copy_context

import httpx
import pytest
from celery import Celery

from tests.api.conftest import ADMIN_KEY, serving
from tests.support import job_runs
from worker.infrastructure.environment.settings_reader import WrongSettings
from worker.infrastructure.settings import Settings
from worker.infrastructure.telemetry import log_context
from worker.infrastructure.telemetry.log_format import log_to_stderr
from worker.jobs import chunk_runner, submission, sweeper
from worker.operations import chunk_logs
from worker.quotes import chunk_slices

log = logging.getLogger("a.test")


class Logged:
    """What was logged since it was last looked at."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def lines(self) -> list[str]:
        lines = self.stream.getvalue().splitlines()
        self.stream.truncate(0)
        self.stream.seek(0)
        return lines

    def objects(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.lines()]


@pytest.fixture(params=["text", "json"])
def log_format(request) -> str:
    return str(request.param)


@pytest.fixture
def logged(monkeypatch, log_format) -> Iterator[Logged]:
    """All that is logged as a process logs it."""
    logged = Logged()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    # `force` would close those of pytest.
    root.handlers = []
    monkeypatch.setattr(sys, "stderr", logged.stream)
    log_to_stderr(log_format)
    yield logged
    logging.captureWarnings(capture=False)
    root.handlers = handlers
    root.setLevel(level)


@pytest.fixture
def deps(database_url, tmp_path):
    deps = job_runs.wire_to(database_url, tmp_path)
    job_runs.create_license(deps, "a b")
    yield deps
    deps.database.close()


def _run(deps) -> tuple[str, int]:
    """A job of one chunk that has run, and its chunk."""
    job = submission.submit(deps, job_runs.quote(deps, ["c1"], license_id="a b").id)
    with deps.database.transaction() as connection:
        chunk_id = connection.exec_driver_sql("SELECT max(id) FROM chunks").scalar_one()
    job_runs.run_chunks(deps, job)
    return job, chunk_id


@pytest.mark.parametrize("log_format", ["text"], indirect=True)
def test_a_line_for_people_ends_with_its_context(logged):
    with log_context.bound(job="job_1", license='a "b"'), log_context.bound(chunk=7):
        log.info("it runs")
    log.info("it rests")
    within, outside = logged.lines()
    assert within.endswith(r'INFO a.test it runs [chunk=7 job=job_1 license="a \"b\""]')
    assert outside.endswith("INFO a.test it rests")


@pytest.mark.parametrize("log_format", ["json"], indirect=True)
def test_a_line_of_json_is_an_object_with_its_context_and_no_more(logged):
    with log_context.bound(chunk=7, license="a\nb"):
        log.warning("it %s", "runs", extra={"data": {"args": "secret"}})
    try:
        int("wrong")
    except ValueError:
        log.exception("it failed")
    within, failed = logged.objects()
    at = within.pop("at")
    assert str(at).endswith("+00:00")
    assert within == {
        "level": "WARNING",
        "logger": "a.test",
        "message": "it runs",
        "chunk": 7,
        "license": "a\nb",
    }
    assert "ValueError: invalid literal" in str(failed["error"])


@pytest.mark.parametrize("log_format", ["json"], indirect=True)
def test_what_celery_tells_of_a_chunk_that_ran_says_whose_it_is(logged):
    app = Celery("a-test", broker="memory://")
    app.conf.task_always_eager = True

    @app.task(name="run-chunk")
    def run(chunk: int) -> None:
        with (
            log_context.bound(chunk=chunk),
            log_context.bound(attempt=1, job="job_1", license="a b"),
        ):
            log.info("it runs")

    logged.lines()
    run.apply((7,))
    told = [one for one in logged.objects() if one["logger"] == "celery.app.trace"]
    assert told
    for line in told:
        assert (line["chunk"], line["job"], line["license"]) == (7, "job_1", "a b")
        assert line["attempt"] == 1


@pytest.mark.parametrize("log_format", ["json"], indirect=True)
def test_each_line_of_a_chunk_says_whose_it_is(deps, logged, monkeypatch):
    read = chunk_slices.read_slice

    def told(*words, **named):
        log.info("from below")
        thread = threading.Thread(target=copy_context().run, args=(log.info, "aside"))
        thread.start()
        thread.join()
        return read(*words, **named)

    monkeypatch.setattr(chunk_runner, "read_slice", told)
    logged.lines()
    job, chunk_id = _run(deps)
    lines = logged.objects()
    assert {"from below", "aside", f"chunk {chunk_id}: Done()"} <= {
        line["message"] for line in lines
    }
    for line in lines:
        whose = {name: line[name] for name in ("chunk", "attempt", "job", "license")}
        assert whose == {
            "chunk": chunk_id,
            "attempt": 1,
            "job": job,
            "license": "a b",
        }


@pytest.mark.parametrize("log_format", ["json"], indirect=True)
def test_a_completion_says_of_which_job_it_is(deps, logged):
    job, _ = _run(deps)
    logged.lines()
    job_runs.complete(deps)
    ended = [one for one in logged.objects() if "has ended" in str(one["message"])]
    assert [(one["job"], "entry" in one) for one in ended] == [(job, True)]


@pytest.mark.parametrize("log_format", ["json"], indirect=True)
def test_each_line_of_a_request_has_its_id_and_so_has_its_answer(
    database_url, tmp_path, logged
):
    with serving(database_url, tmp_path, {}) as api:
        api.license()
        client = httpx.Client(
            base_url=api.url, headers={"Authorization": f"Bearer {ADMIN_KEY}"}
        )
        with api.deps.database.transaction() as connection:
            connection.exec_driver_sql("ALTER TABLE jobs RENAME TO elsewhere")
        logged.lines()
        failed = client.get("/v1/jobs/job_1", headers={"X-Request-Id": "mine-1"})
        (line,) = [one for one in logged.objects() if one["level"] == "ERROR"]
        with api.deps.database.transaction() as connection:
            connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO jobs")
        made = client.get("/healthz").headers["X-Request-Id"]
        forged = client.get("/healthz", headers={"X-Request-Id": "a b"})
        client.close()
    assert failed.status_code == 500
    assert failed.headers["X-Request-Id"] == line["request"] == "mine-1"
    assert line["job"] == "job_1"
    assert made.startswith("request")
    assert forged.headers["X-Request-Id"] not in ("a b", made)


def test_the_lines_of_a_chunk_are_found_in_the_home_in_either_format(
    deps, logged, tmp_path, monkeypatch
):
    logs = deps.settings.home / "logs"
    logs.mkdir()
    monkeypatch.setattr(chunk_runner, "read_slice", lambda *_, **__: 1 / 0)
    logged.lines()
    _, first = _run(deps)
    _, second = _run(deps)
    (logs / "worker.log").write_text("\n".join(logged.lines()))
    with deps.database.transaction() as connection:
        connection.exec_driver_sql(
            "UPDATE chunks SET state = 'running', owner = 'gone',"
            " lease_until = clock_timestamp() - interval '1 hour'"
            f" WHERE id = {second}"
        )
    sweeper.sweep(deps)
    (logs / "dispatcher.log").write_text("\n".join(logged.lines()))
    found = "\n".join(chunk_logs.last_lines(deps.settings, second))
    assert f"chunk {second} of" in found
    assert "ZeroDivisionError" in found
    assert f"the worker of chunk {second} is gone" in found
    assert f"chunk {first} of" not in found
    (last,) = chunk_logs.last_lines(deps.settings, second, lines_max=1)
    assert "is gone" in last


def test_no_more_of_a_log_is_read_than_its_end(tmp_path, monkeypatch):
    settings = Settings(home=tmp_path)
    assert chunk_logs.last_lines(settings, 1) == []
    (tmp_path / "logs").mkdir()
    line = "2026-01-01 00:00:00,000 INFO x {} [chunk=1 attempt=1]\n"
    log_file = tmp_path / "logs" / "worker.log"
    log_file.write_text("".join(line.format(number) for number in range(10)))
    monkeypatch.setattr(chunk_logs, "_BYTES_MAX", int(2.5 * len(line)))
    found = chunk_logs.last_lines(settings, 1)
    assert [one.split()[4] for one in found] == ["8", "9"]
    assert chunk_logs.last_lines(settings, 11) == []
    log_file.write_text(line.format(0).replace("chunk=1", "chunk=12"))
    assert chunk_logs.last_lines(settings, 1) == []
    log_file.write_text('{"chunk":12,"message":"x"}')
    assert chunk_logs.last_lines(settings, 1) == []
    assert len(chunk_logs.last_lines(settings, 12)) == 1


def test_no_other_format_can_be_set():
    with pytest.raises(WrongSettings, match="must be one of text, json"):
        Settings(log_format="xml")
