"""Pins: the house's head, kept outside of the database after each run.

Whoever could rewrite the whole chain, rows and seals, cannot rewrite what stands in a
file elsewhere, or was posted to somebody else. A chain that ends before its pin, or
says other heads, is broken.
"""

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

from storage.finance.chain import runs
from storage.finance.chain.runs import Run
from worker.infrastructure.clock import instant
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import OutboundError, WorkerError
from worker.infrastructure.message_signatures import signed_headers
from worker.infrastructure.settings import Settings

log = logging.getLogger(__name__)

TYPE = "chain.sealed"

_FILE = "chain-heads.jsonl"
_TAIL_BYTES = 1 << 16
_ACCEPTED = range(200, 300)


class PinBroken(WorkerError):
    """The chain is not the one whose head was pinned."""


class Pin(NamedTuple):
    """A head as it was pinned. Of an era each run has one; a later era counts anew."""

    era: int
    run: int
    head: str


def file_of(settings: Settings) -> Path:
    """Where heads are pinned."""
    return settings.chain_pins or settings.home.expanduser().absolute() / _FILE


def every(settings: Settings) -> Iterator[Pin]:
    """All pins of the file, in the order in which they were written."""
    path = file_of(settings)
    if path.exists():
        with path.open("rb") as lines:
            yield from filter(None, map(_read, lines))


def last(settings: Settings) -> Pin | None:
    """The pin of the highest run of the last era; None where none was written here."""
    path = file_of(settings)
    if not path.exists():
        return None
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return max(filter(None, map(_read, stream)), default=None)


def _read(line: bytes) -> Pin | None:
    """A line's pin; None of one that was cut off while it was written."""
    try:
        pinned = json.loads(line)
        return Pin(pinned["era"], pinned["run"], pinned["head"])
    except (ValueError, KeyError, TypeError):
        return None


def check(connection: Connection, pinned: Pin | None) -> None:
    """Raise `PinBroken` where the chain has no such run, or another head there."""
    if pinned is None:
        return
    found = runs.from_run(connection, pinned.run, limit=1)
    if not found or found[0].n != pinned.run:
        raise PinBroken(f"the chain ends before run {pinned.run}, which was pinned")
    if (found[0].era, found[0].head.hex()) != (pinned.era, pinned.head):
        raise PinBroken(f"run {pinned.run} has another head than was pinned")


def pin(deps: Deps, run: Run) -> None:
    """Write a committed run's head down outside, and post it where a URL is set."""
    about = _about(run)
    _append(file_of(deps.settings), json.dumps(about).encode() + b"\n")
    if deps.settings.chain_pin_url:
        _post(deps, deps.settings.chain_pin_url, run, about)


def _about(run: Run) -> dict[str, object]:
    return {
        "era": run.era,
        "run": run.n,
        "head": run.head.hex(),
        "to_transaction": run.to_transaction,
        "sealed_at": instant(run.sealed_at),
    }


def _append(path: Path, line: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _post(deps: Deps, url: str, run: Run, about: dict[str, object]) -> None:
    """Post a head; where nobody takes it the next run's says the same, and more."""
    secret = deps.settings.operator_webhook_secret
    if secret is None:
        return
    message_id = f"chain-{run.era}-{run.n}"
    body = json.dumps(
        {
            "id": message_id,
            "type": TYPE,
            "created_at": instant(run.sealed_at),
            "data": about,
        }
    ).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Holdfast",
        **signed_headers(
            [secret.get_secret_value()],
            message_id,
            int(run.sealed_at.timestamp()),
            body,
        ),
    }
    try:
        answer = deps.outbound.request("POST", url, headers=headers, content=body)
    except OutboundError as error:
        log.warning("run %d of the chain is not pinned at its URL: %s", run.n, error)
        return
    if answer.status not in _ACCEPTED:
        log.error("the pin of run %d was answered %d", run.n, answer.status)
