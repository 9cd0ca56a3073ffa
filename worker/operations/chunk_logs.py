"""What the logs in a home say of one chunk: the last lines that name it.

Logs are read from their ends and no further than some bytes, so that it takes no longer
the longer a home has run. Where logs go elsewhere there is nothing to find here.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from worker.infrastructure.settings import Settings

_FILES = ("worker.1.log", "worker.log", "dispatcher.1.log", "dispatcher.log")
"""Who runs chunks, and who brings them back."""
_BYTES_MAX = 1 << 20
"""Of each of them."""
_LINES_MAX = 200
_BEGINS = re.compile(r"\d{4}-\d\d-\d\d[ T]|\{")
"""How a line begins; all others go on with the one before, as a traceback does."""
_SECONDS = 19


def last_lines(
    settings: Settings, chunk_id: int, *, lines_max: int = _LINES_MAX
) -> list[str]:
    """The last lines that name a chunk, oldest first, as they stand in the logs."""
    logs = settings.home.expanduser() / "logs"
    found = [
        entry
        for name in _FILES
        for entry in _entries(logs / name)
        if _is_of(entry, chunk_id)
    ]
    lines = [line for entry in sorted(found, key=_second_of) for line in entry]
    return lines[-lines_max:]


def _entries(path: Path) -> Iterator[list[str]]:
    """The entries at the end of a log: a line each, with those that go on with it."""
    entry: list[str] = []
    for line in _tail(path):
        if _BEGINS.match(line):
            if entry:
                yield entry
            entry = [line]
        elif entry:
            entry.append(line)
    if entry:
        yield entry


def _tail(path: Path) -> list[str]:
    """The whole lines among the last bytes of a file; none where there is no file."""
    try:
        with path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - _BYTES_MAX))
            text = log.read(_BYTES_MAX).decode(errors="replace")
    except FileNotFoundError:
        return []
    lines = text.splitlines()
    return lines[1:] if size > _BYTES_MAX else lines


def _is_of(entry: list[str], chunk_id: int) -> bool:
    first = entry[0]
    if not first.startswith("{"):
        return re.search(rf"\[chunk={chunk_id}[ \]]", first) is not None
    if f'"chunk":{chunk_id}' not in first:
        return False
    try:
        return bool(json.loads(first).get("chunk") == chunk_id)
    except ValueError:
        return False


def _second_of(entry: list[str]) -> str:
    """When it was logged, as far as both formats say it the same."""
    first = entry[0]
    if first.startswith("{"):
        first = str(json.loads(first).get("at", ""))
    return first[:_SECONDS].replace("T", " ")
