"""The reconciler: takes a reconciliation and works it off, step by step.

A step is a period's sums and the replay of its subjects, or some of its jobs. What it
found is kept with the cursor in one transaction; beside jobs, each step is followed by
a pause many times as long.
"""

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event

from storage.errors import ArtifactError, MissingArtifact, Superseded
from storage.finance.reconciliation import job_rows, period_rows, runs, subject_lines
from storage.finance.reconciliation.job_rows import JobRow
from storage.finance.reconciliation.period_rows import PeriodRow, Wanted
from storage.finance.reconciliation.runs import AnotherRuns, Counts, Finding, Run, Step
from worker.finance.reconciliation import (
    credit_note_checks,
    period_checks,
    subject_replay,
)
from worker.finance.reconciliation.jobs.job_check import (
    DIGEST_VERSION,
    Digests,
    check_job,
    compare,
)
from worker.finance.reconciliation.notebook import Notebook
from worker.finance.reconciliation.reconciliations import wanted_of
from worker.infrastructure.clock import Stopwatch, wait
from worker.infrastructure.dependencies import Deps

log = logging.getLogger(__name__)

_PAGE_JOBS = 50
_STEP_CHARGES = 5_000
"""After so many charges a step is kept, wherever its page ends."""
_LEASE_S = 60.0
_AGAIN_S = 60.0
"""So long after the files could not be reached they are asked for again."""
_FINDINGS_KEPT_S = 90 * 24 * 3600.0
_PAUSE_TIMES = 24
"""Beside jobs a step is followed by a pause so many times as long: 4 % of one core."""
_PAUSE_LOOK_S = 1.0
_WHY_MAX = 1_000


class Reconciler:
    """Works off reconciliations for one process, until it is told to stop."""

    def __init__(self, deps: Deps, stop: Event | None = None) -> None:
        self._deps = deps
        self._stop = stop or Event()
        self._is_lost = Event()

    def run(self, run_id: int | None = None) -> Run | None:
        """Work one off: that one, or whichever waits; None where none can be had.

        A kill leaves it to whoever asks for one next, and so do files that cannot be
        reached: then it is running still, and its error says what it waits for. Raises
        `Superseded` where it is another's meanwhile.
        """
        run = self._taken(run_id)
        if run is None:
            return None
        try:
            with self._held(run):
                error = self._work_off(run)
        except ArtifactError as away:
            return self._put_off(run, away)
        with self._deps.database.transaction() as connection:
            runs.end(connection, run.id, self._deps.owner, error=error)
            runs.forget(connection, after_s=_FINDINGS_KEPT_S)
            return runs.get(connection, run.id)

    def _put_off(self, run: Run, away: ArtifactError) -> Run | None:
        log.warning("reconciliation %s waits for its files: %s", run.id, away)
        why = f"waits for files that cannot be reached: {away}"[:_WHY_MAX]
        with self._deps.database.transaction() as connection:
            owner = self._deps.owner
            runs.put_off(connection, run.id, owner, why=why, again_s=_AGAIN_S)
            return runs.get(connection, run.id)

    def _taken(self, run_id: int | None) -> Run | None:
        owner = self._deps.owner
        try:
            with self._deps.database.transaction() as connection:
                return runs.take(connection, owner, lease_s=_LEASE_S, run_id=run_id)
        except AnotherRuns:
            return None

    def _work_off(self, run: Run) -> str | None:
        try:
            self._steps(run)
        except (Superseded, ArtifactError):
            raise
        except Exception as error:  # it must not be begun again for ever
            if self._is_lost.is_set():
                raise
            log.exception("reconciliation %s failed", run.id)
            return f"{type(error).__name__}: {error}"[:_WHY_MAX]
        return None

    @contextmanager
    def _held(self, run: Run) -> Iterator[None]:
        """Renew the lease for as long as the block, whatever a step takes."""
        ended = Event()

        def renew() -> None:
            while not wait(ended, _LEASE_S / 4):
                try:
                    with self._deps.database.transaction() as connection:
                        owner = self._deps.owner
                        runs.keep_lease(connection, run.id, owner, lease_s=_LEASE_S)
                except Superseded:
                    self._is_lost.set()
                    return
                except Exception:
                    log.exception("the lease of reconciliation %s", run.id)

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _steps(self, run: Run) -> None:
        wanted = wanted_of(run.period, run.license_id)
        begun, after = run.cursor_period, run.cursor_reservation
        while True:
            period = self._period(wanted, begun - 1)
            if period is not None and period.id == begun:
                self._jobs(run, period, after)
            period = self._period(wanted, begun)
            if period is None:
                return
            watch = Stopwatch()
            findings, counts = self._check_period(period)
            self._step(
                run,
                Step(
                    period_id=period.id,
                    reservation_id=0,
                    counts=counts,
                    findings=findings,
                    worked_s=watch.elapsed_s,
                ),
            )
            begun, after = period.id, 0

    def _period(self, wanted: Wanted, after: int) -> PeriodRow | None:
        with self._deps.database.reading() as connection:
            return period_rows.following(connection, wanted, max(0, after))

    def _check_period(self, period: PeriodRow) -> tuple[list[Finding], Counts]:
        """Hold a period's sums against each other, and replay all of its subjects."""
        notes = Notebook(period.license_id)
        notes.counts.periods = 1
        with self._deps.database.transaction(patient=True) as connection:
            period_rows.one_snapshot(connection)
            again = period_rows.again(connection, period)
            period_checks.check(connection, again, notes)
            credit_note_checks.check(connection, again, notes)
            views = period_rows.views(connection, period)
            notes.counts.charges += views.number
            notes.counts.recomputed += views.number
            lines = subject_lines.of_license(
                connection,
                period.license_id,
                period_id=period.id,
                starts_at=period.starts_at,
            )
            for line, expected, found in subject_replay.mismatches(lines):
                notes.differ(
                    "charges.replay",
                    line.id,
                    expected=expected,
                    found=found,
                    charge=line.id,
                    job=line.job_id,
                )
        return notes.close(), notes.counts

    def _jobs(self, run: Run, period: PeriodRow, after: int) -> None:
        while True:
            with self._deps.database.reading() as connection:
                page = job_rows.of_period(
                    connection, period.id, after=after, limit=_PAGE_JOBS
                )
                first = job_rows.first_digests(
                    connection, [row.job_id for row in page], DIGEST_VERSION
                )
            if not page:
                return
            for some in _parts(page):
                self._some_jobs(run, period, some, first)
            after = page[-1].reservation_id

    def _some_jobs(
        self,
        run: Run,
        period: PeriodRow,
        rows: list[JobRow],
        first: dict[str, dict[str, str]],
    ) -> None:
        watch, findings, counts = Stopwatch(), list[Finding](), Counts()
        fresh: dict[str, str] = {}
        away: ArtifactError | None = None
        last = 0
        for row in rows:
            try:
                notes, digests = self._check_job(row)
            except ArtifactError as error:
                away = error
                break
            last = row.reservation_id
            if digests is not None:
                if row.job_id in first:
                    compare(notes, first[row.job_id], digests)
                elif not notes.findings:
                    # What was changed before must not be held for what is right.
                    fresh[row.job_id] = json.dumps(digests)
            findings += notes.close()
            _add(counts, notes.counts)
        step = Step(
            period_id=period.id,
            reservation_id=last,
            counts=counts,
            findings=findings,
            worked_s=watch.elapsed_s,
        )
        if last:
            self._step(run, step, fresh)
        if away is not None:
            raise away

    def _check_job(self, row: JobRow) -> tuple[Notebook, Digests | None]:
        """Check a job; once more where a file has gone, for that may be its time.

        Raises `ArtifactError` where its files cannot be reached.
        """
        try:
            return check_job(self._deps, row)
        except MissingArtifact:
            with self._deps.database.reading() as connection:
                (again,) = job_rows.of_period(
                    connection, row.period_id, after=row.reservation_id - 1, limit=1
                )
        try:
            return check_job(self._deps, again)
        except MissingArtifact as error:
            notes = Notebook(row.license_id, row.job_id)
            notes.differ("files", row.job_id, expected="what it names", found=error)
            count = row.charged["count"]
            notes.counts.charges = notes.counts.not_recomputable = count
            notes.cannot("charges", "a file of the job is missing", charges=count)
            return notes, None

    def _step(
        self, run: Run, step: Step, digests: Mapping[str, str] | None = None
    ) -> None:
        with self._deps.database.transaction() as connection:
            owner = self._deps.owner
            runs.advance(connection, run.id, owner, step, lease_s=_LEASE_S)
            job_rows.keep_digests(connection, run.id, DIGEST_VERSION, digests or {})
        self._pause(step.worked_s)

    def _pause(self, worked_s: float) -> None:
        """Leave the house to its jobs, as long as it has any."""
        rest = Stopwatch()
        while rest.elapsed_s < worked_s * _PAUSE_TIMES:
            if self._stop.is_set() or self._is_lost.is_set():
                raise Superseded("told to stop")
            with self._deps.database.reading() as connection:
                if not runs.house_is_busy(connection):
                    return
            left_s = worked_s * _PAUSE_TIMES - rest.elapsed_s
            wait(self._stop, max(0.0, min(_PAUSE_LOOK_S, left_s)))


def _parts(page: list[JobRow]) -> Iterator[list[JobRow]]:
    """Some jobs at a time, of which each has as many charges as a step may have."""
    some: list[JobRow] = []
    charges = 0
    for row in page:
        some.append(row)
        charges += row.charged["count"]
        if charges >= _STEP_CHARGES:
            yield some
            some, charges = [], 0
    if some:
        yield some


def _add(total: Counts, more: Counts) -> None:
    for name in Counts.__dataclass_fields__:
        setattr(total, name, getattr(total, name) + getattr(more, name))
