"""The pruner: everything has a set time, after which it is removed, a little each turn.

A turn takes what is too old out of its rows, in short transactions, and then removes
the files that are marked. It also walks through the files of the store, some hundred
names a turn, for those that no row names: a writer that was killed left them.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from math import inf

from sqlalchemy import Connection

from storage.connections import key_locks, oauth_authorizations
from storage.errors import ArtifactError
from storage.files import pending_removals
from storage.findings import findings, lookups
from storage.pushes import dry_runs
from storage.retention import expired_rows, orphaned_files
from storage.webhooks import operator_events
from worker.exports.file_names import parts_folder
from worker.infrastructure.clock import Every, Stopwatch
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import log_and_go_on
from worker.infrastructure.settings import Settings

log = logging.getLogger(__name__)

_FOLDERS = ("uploads", "inputs", "jobs")
_LIMIT = 200
_JOBS_MAX = 20
"""Each brings all its outcomes with it."""
_MARKS_MAX = 50
"""A folder of parts can hold some thousand files."""
_NAMES_MAX = 500
_ROWS_MAX = 5_000
"""Rows that bring nothing else with them."""
_TURN_S = 1.0
"""A store may take long for each file, and jobs wait for the dispatcher meanwhile."""
_WALK_EVERY_S = 3600.0
_EVER = datetime.max.replace(tzinfo=UTC)


class Pruner:
    """Removes what is too old; `turn` is short, and to be called again and again."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._walk_due = Every(_WALK_EVERY_S)
        self._walk: Iterator[str] = iter(())

    def turn(self) -> None:
        """Do a little of all; a step that fails stops none of the others."""
        for step, after_s, limit in _steps(self._deps.settings):
            with log_and_go_on(), self._deps.database.transaction() as connection:
                step(connection, after_s=after_s, limit=limit)
        with log_and_go_on():
            self._mark_orphans()
        with log_and_go_on():
            remove_marked(self._deps, within_s=_TURN_S)

    def _mark_orphans(self) -> None:
        names = list(islice(self._walk, _NAMES_MAX))
        if not names:
            if self._walk_due.due():
                self._walk = _old_names(self._deps)
            return
        with self._deps.database.transaction() as connection:
            orphans = orphaned_files.orphans(connection, names)
            pending_removals.mark(connection, orphans)
        for name in orphans:
            log.info("no row names the file %s: it is removed", name)


def _steps(settings: Settings) -> list[tuple[Callable[..., object], float, int]]:
    """What to let go, after how long, and how much at once."""
    return [
        (expired_rows.let_uploads_go, settings.upload_kept_s, _LIMIT),
        (expired_rows.let_quotes_go, settings.quote_kept_s, _LIMIT),
        (expired_rows.let_inputs_go, settings.input_kept_s, _JOBS_MAX),
        (expired_rows.let_files_go, settings.file_kept_s, _LIMIT),
        (_let_parts_go, settings.part_kept_s, _LIMIT),
        (expired_rows.forget_events, settings.event_kept_s, _LIMIT),
        (operator_events.forget, settings.event_kept_s, _LIMIT),
        (expired_rows.forget_entries, settings.entry_kept_s, _LIMIT),
        (expired_rows.forget_notifications, settings.notification_kept_s, _LIMIT),
        (findings.forget, settings.finding_kept_s, _ROWS_MAX),
        (lookups.forget, settings.lookup_kept_s, _LIMIT),
        (oauth_authorizations.forget, settings.request_kept_s, _LIMIT),
        (key_locks.forget, settings.request_kept_s, _LIMIT),
        (dry_runs.forget, settings.dry_run_kept_s, _JOBS_MAX),
        (expired_rows.forget_replaced_secrets, 0, _LIMIT),
    ]


def _let_parts_go(connection: Connection, *, after_s: float, limit: int) -> None:
    ended = expired_rows.end_parts(connection, after_s=after_s, limit=limit)
    pending_removals.mark(connection, [parts_folder(job_id) for job_id in ended])


def remove_marked(deps: Deps, *, within_s: float = inf) -> int:
    """Remove files that are marked, some at once; how many marks have gone.

    A crash on the way leaves marks, and so does the end of the time; removing again
    changes nothing.
    """
    with deps.database.transaction() as connection:
        marked = pending_removals.marked(connection, limit=_MARKS_MAX)
    time = _Time(within_s)
    done = [name for name in marked if not time.is_over and _remove(deps, name, time)]
    if done:
        with deps.database.transaction() as connection:
            pending_removals.gone(connection, done)
    return len(done)


class _Time:
    """So many seconds from now."""

    def __init__(self, seconds: float) -> None:
        self._watch = Stopwatch()
        self._seconds = seconds

    @property
    def is_over(self) -> bool:
        """Whether they have passed."""
        return self._watch.elapsed_s > self._seconds


def _remove(deps: Deps, marked: str, time: _Time) -> bool:
    """Remove a file, or a folder's files as far as there is time; whether all went."""
    folder = marked.removesuffix("/")
    try:
        names = deps.artifacts.names(folder, before=_EVER)
        for name in [marked] if folder == marked else names:
            if time.is_over:
                return False
            deps.artifacts.remove(name)
    except ArtifactError as error:
        log.warning("%s is not removed yet: %s", marked, error)
        return False
    return True


def _old_names(deps: Deps) -> Iterator[str]:
    """All files that are old enough to be orphans."""
    after_s = deps.settings.orphan_kept_s
    with deps.database.transaction() as connection:
        before = orphaned_files.long_ago(connection, after_s=after_s)
    for folder in _FOLDERS:
        yield from deps.artifacts.names(folder, before=before)
