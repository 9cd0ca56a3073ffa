"""The processes of a home."""

from pathlib import Path

import psutil

from worker.embedded.home import open_home


def living(home: Path) -> list[psutil.Process]:
    """All processes that work in this home, by the folder they were started in."""
    opened = open_home(home)
    places = tuple(str(path.resolve()) for path in (opened.root, opened.base))
    return [
        process
        for process in psutil.process_iter()
        if _folder_of(process).startswith(places)
    ]


def _folder_of(process: psutil.Process) -> str:
    try:
        return process.cwd() if process.status() != psutil.STATUS_ZOMBIE else ""
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""
