"""One job of a period, checked whole: its sums, its records, its file, its id map."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pricing.plans import Terms
from storage.errors import ArtifactError
from storage.finance.reconciliation.job_rows import JobRow
from worker.finance.reconciliation.jobs import job_sums
from worker.finance.reconciliation.jobs.job_replay import JobReplay
from worker.finance.reconciliation.jobs.kept_records import (
    Block,
    blocks_of_input,
    blocks_of_outcomes,
)
from worker.finance.reconciliation.jobs.mapped_records import MappedRecords
from worker.finance.reconciliation.jobs.sealed_check import SealedCheck, check_manifest
from worker.finance.reconciliation.jobs.sealed_rows import sealed_copy
from worker.finance.reconciliation.notebook import Notebook
from worker.infrastructure.dependencies import Deps

DIGEST_VERSION = 2
_QUOTE = (
    *(
        "license_id",
        "user_id",
        "kind",
        "retrieve",
        "email_level",
        "only_with",
        "export",
    ),
    *("push", "terms", "quoted_at", "max_credits", "lines", "records", "excluded"),
    "expires_at",
)
_JOB = (
    *("license_id", "user_id", "kind", "state", "records", "quote_id", "error_code"),
    *("file_bytes", "file_sha256", "created_at", "finished_at", "closed_at"),
)

Digests = dict[str, str]


def check_job(deps: Deps, row: JobRow) -> tuple[Notebook, Digests | None]:
    """What is found of a job; digests of what was read, where it has ended.

    Raises `MissingArtifact` where a file that it names is not there, and
    `ArtifactError` where that cannot be told now.
    """
    notes = Notebook(row.license_id, row.job_id)
    terms = job_sums.check(row, notes)
    notes.counts.jobs += 1
    if not row.has_ended:
        _leave(notes, row, "the job has not ended")
        return notes, None
    if terms is None or row.quote["email_level"] not in ("verified", "accept_all"):
        _leave(notes, row, "what was quoted cannot be told")
        return notes, None
    with _sealed(deps, row, notes) as sealed:
        outcomes = _replay(deps, row, terms, notes, sealed)
    return notes, {
        "quote": _digest({name: row.quote[name] for name in _QUOTE}),
        "job": _digest({name: row.job[name] for name in _JOB}),
        "outcomes": outcomes,
    }


def compare(notes: Notebook, first: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Note what a job's rows do not say any more of what they said at first."""
    for name, digest in now.items():
        if first.get(name, digest) != digest:
            notes.differ(
                f"{name}.since_first_reconciled",
                notes.job_id,
                expected=first[name],
                found=digest,
            )


def _leave(notes: Notebook, row: JobRow, why: str) -> None:
    count = row.charged["count"]
    notes.counts.charges += count
    notes.counts.not_recomputable += count
    notes.cannot("charges", why, charges=count)


def _digest(values: Mapping[str, Any]) -> str:
    told = json.dumps(values, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(told.encode()).hexdigest()


@contextmanager
def _sealed(deps: Deps, row: JobRow, notes: Notebook) -> Iterator[SealedCheck | None]:
    job = row.job
    name = job["file_artifact"]
    if name is None:
        if job["file_sha256"] is not None:
            _check_removed(row, notes, deps.settings.file_kept_s)
        yield None
        return
    if not job["keep_file"]:
        notes.differ("jobs.keep_file", row.job_id, expected="no file", found=name)
    try:
        check_manifest(deps.artifacts, row, notes)
    except (ArtifactError, ValueError, KeyError) as error:
        if isinstance(error, ArtifactError):
            raise
        notes.differ(
            "manifest", row.job_id, expected="one that can be read", found=error
        )
    with sealed_copy(deps.artifacts, name) as copy:
        yield SealedCheck(row, copy, notes)


def _check_removed(row: JobRow, notes: Notebook, kept_s: float) -> None:
    age_s = row.job["age_s"]
    if row.job["keep_file"] and age_s is not None and age_s < kept_s:
        notes.differ(
            "jobs.file_artifact",
            row.job_id,
            expected=f"kept for {kept_s:.0f} s",
            found=f"gone after {age_s:.0f} s",
        )
    why = "the file is not kept any more"
    if not row.job["keep_file"]:
        why = "the file went with a person who was erased"
    notes.cannot("file", why, charges=0)


def _replay(
    deps: Deps, row: JobRow, terms: Terms, notes: Notebook, sealed: SealedCheck | None
) -> str:
    replay = JobReplay(row, terms, notes, sealed)
    push = row.quote["push"] or {}
    mapped = (
        MappedRecords(push["connection"], notes) if push.get("connection") else None
    )
    for block in _blocks(deps, row, notes):
        with deps.database.reading() as connection:
            looked = replay.look_up(connection, block)
            if mapped is not None:
                erased = list(looked.evidence.erased)
                mapped.check(connection, block.records, erased)
        replay.take(block, looked)
    with deps.database.reading() as connection:
        outcomes = replay.end(connection)
    if not row.job["keep_file"] and not replay.has_erased:
        notes.differ(
            "jobs.keep_file", row.job_id, expected="somebody was erased", found="nobody"
        )
    return outcomes


def _blocks(deps: Deps, row: JobRow, notes: Notebook) -> Iterator[Block]:
    name, age_s = row.quote["input"], row.job["age_s"]
    if name is not None:
        try:
            yield from blocks_of_input(deps.database, deps.artifacts, row.job_id, name)
        except (ValueError, KeyError, TypeError) as error:
            notes.differ(
                "quotes.input", row.job_id, expected="records", found=repr(error)
            )
        return
    kept_s = deps.settings.input_kept_s
    if age_s is not None and age_s < kept_s:
        notes.differ(
            "quotes.input",
            row.job_id,
            expected=f"kept for {kept_s:.0f} s",
            found=f"gone after {age_s:.0f} s",
        )
    yield from blocks_of_outcomes(deps.database, row.job_id)
