"""Jobs whose files are kept by an S3 server that may die, and comes back."""

import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from storage.errors import ArtifactError
from storage.files.s3_bucket import Bucket
from storage.files.s3_streams import PIECE_BYTES, Pieces
from storage.jobs.job_reports import JobReport
from tests.support import job_runs, stores
from tests.support.business_time import DAY_S, shift_to
from tests.support.fleet import until
from worker.infrastructure.task_results import Later
from worker.jobs import submission
from worker.jobs.chunk_runner import run_chunk
from worker.jobs.outbox_runner import run_entry
from worker.quotes.readers.formats import CSV
from worker.retention import pruner
from worker.uploads import uploads
from worker.wiring import Wired

pytestmark = pytest.mark.usefixtures("s3_keys")

_EVER = datetime.max.replace(tzinfo=UTC)
_CONTACTS = [f"c{number}/p{number}" for number in range(6)]


@pytest.fixture
def s3(tmp_path) -> Iterator[stores.S3Server]:
    with stores.running("rclone", tmp_path) as server:
        yield server


@pytest.fixture
def deps(database_url, tmp_path, s3) -> Iterator[Wired]:
    deps = job_runs.wire_to(database_url, tmp_path, artifacts_url=s3.bucket())
    with closing(deps.database):
        job_runs.create_license(deps)
        job_runs.know(deps, *(f"p{number}" for number in range(60)))
        yield deps


def _submit(deps: Wired, contacts: list[str]) -> str:
    return submission.submit(deps, job_runs.quote(deps, contacts).id)


def _pending(deps: Wired, table: str) -> list[int]:
    with deps.database.transaction() as connection:
        rows = connection.execute(
            text(f"SELECT id FROM {table} WHERE state = 'pending' ORDER BY id")
        )
        return list(rows.scalars())


def _names(deps: Wired) -> list[str]:
    folders = ("uploads", "inputs", "jobs")
    return [n for f in folders for n in deps.artifacts.names(f, before=_EVER)]


def _assert_exact(deps: Wired, report: JobReport, contacts: int) -> None:
    """Each contact is a company, an e-mail and a phone: four credits."""
    assert (report.state, report.delivered) == ("succeeded", contacts)
    assert (report.settled, report.released) == (4 * contacts, 0)
    assert report.waiting_reason is None
    assert report.file_artifact is not None
    with deps.artifacts.open(report.file_artifact) as stream:
        data = stream.read()
    assert hashlib.sha256(data).hexdigest() == report.file_sha256
    assert len(data.splitlines()) == 1 + contacts


def test_a_job_waits_for_a_store_that_died_and_then_goes_on(deps, s3):
    job_id = _submit(deps, _CONTACTS)
    first, second, _ = _pending(deps, "chunks")
    run_chunk(deps, first)
    s3.kill()
    assert isinstance(run_chunk(deps, second), Later)
    report = job_runs.report(deps, job_id)
    assert (report.state, report.waiting_reason) == ("running", "storage")
    assert (report.delivered, report.settled) == (2, 8)
    s3.start()
    _assert_exact(deps, job_runs.run(deps, job_id), len(_CONTACTS))


def _seals(deps: Wired) -> bool:
    with deps.database.transaction() as connection:
        found: int = connection.execute(
            text("SELECT count(*) FROM outbox WHERE state = 'running'")
        ).scalar_one()
    return found == 1


def test_sealing_waits_for_a_store_that_died_in_the_middle(deps, s3):
    contacts = [f"c{number}/p{number}" for number in range(60)]
    job_id = _submit(deps, contacts)
    job_runs.run_chunks(deps, job_id)
    (entry_id,) = _pending(deps, "outbox")
    # However fast it seals, it has not sealed before the store dies.
    s3.freeze()
    with ThreadPoolExecutor(1) as pool:
        fate = pool.submit(run_entry, deps, entry_id)
        until(lambda: _seals(deps))
        s3.kill()
        assert isinstance(fate.result(), Later)
    report = job_runs.report(deps, job_id)
    assert (report.state, report.waiting_reason) == ("finishing", "storage")
    assert (report.settled, report.file_name) == (240, None)
    s3.start()
    job_runs.complete(deps)
    _assert_exact(deps, job_runs.report(deps, job_id), len(contacts))


def test_neither_a_quote_nor_an_upload_is_kept_while_the_store_is_away(deps, s3):
    s3.kill()
    with pytest.raises(ArtifactError):
        job_runs.quote(deps, _CONTACTS)
    reading = CSV.read(io.BytesIO(b"company_id\nc1\n"))
    with pytest.raises(ArtifactError):
        uploads.upload(deps, "acme", reading, skip_bad=False)
    with deps.database.transaction() as connection:
        query = text("SELECT (SELECT count(*) FROM quotes) + count(*) FROM uploads")
        assert connection.execute(query).scalar_one() == 0
    s3.start()
    assert _names(deps) == []


def test_what_is_too_old_goes_from_the_store_and_so_does_what_no_row_names(deps, s3):
    job_runs.run(deps, _submit(deps, _CONTACTS))
    job_runs.quote(deps, ["c7"])
    assert len(_names(deps)) > len(_CONTACTS)
    shift_to(deps.database, 100 * DAY_S)
    keeper = pruner.Pruner(deps)
    keeper.turn()
    keeper.turn()
    assert _names(deps) == []


def test_pieces_that_a_killed_writer_left_go_once_they_are_old(
    database_url, tmp_path, s3_servers
):
    # moto says of every unfinished upload that it began in 2010.
    url = s3_servers("moto").bucket()
    deps = job_runs.wire_to(database_url, tmp_path, artifacts_url=url)
    with closing(deps.database):
        assert isinstance(deps.artifacts, Bucket)
        place = deps.artifacts._place("jobs/gone/parts/1.jsonl")
        Pieces(place).write(b"x" * PIECE_BYTES)
        assert len(_names(deps)) == 1
        keeper = pruner.Pruner(deps)
        keeper.turn()
        keeper.turn()
        assert _names(deps) == []


def test_a_store_that_is_away_keeps_nobody_from_the_rest(deps, s3, caplog):
    job_id = _submit(deps, _CONTACTS)
    job_runs.run(deps, job_id)
    with deps.database.transaction() as connection:
        connection.execute(
            text("INSERT INTO removals (name) VALUES ('uploads/a'), ('jobs/b/')")
        )
    s3.kill()
    pruner.Pruner(deps).turn()
    assert "is not removed yet" in caplog.text
    s3.start()
    assert pruner.remove_marked(deps) == 2
