"""A home folder: where the servers' data, sockets and logs lie, and whose they are.

PostgreSQL refuses to run as root. There it runs as `nobody`, and where `nobody`
cannot reach the home, its data lies in /var/lib/holdfast, with a link to it at home.
A folder that was there before keeps its mode as a home: all that we put into it is
closed to other users of the machine, whatever the umask says.
"""

import hashlib
import os
import pwd
import re
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from worker.embedded.errors import StartFailed

STATE_FOLDER = Path("/var/lib/holdfast")
"""Where what `nobody` must reach lies, if we are root and the home is closed."""

_PLAIN = re.compile(rb"[A-Za-z0-9/._-]+")
_PRIVATE = 0o700
_PRIVATE_FILE = 0o600
_PASSABLE = 0o711
"""For `nobody` on its way to its own folder; what lies here cannot be listed."""
_PUBLIC = 0o755
_SOCKET_PATH_MAX = 90
"""Bytes; the limit of the system is 104 to 108, and a file's name follows."""


class Owner(NamedTuple):
    """The user that PostgreSQL runs as."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Home:
    """The folders of one home; `owner` is set only where we are root."""

    root: Path
    base: Path
    sockets: Path
    logs: Path
    owner: Owner | None

    @property
    def children(self) -> Path:
        """The locks of the processes that run here, held while they live."""
        return self.root / "children"

    @property
    def data(self) -> Path:
        """PostgreSQL's data, or the link to it."""
        return self.root / "postgres"


def open_home(root: Path) -> Home:
    """Make the folders of a home, where they are missing."""
    root = root.expanduser().absolute()
    owner = _unprivileged() if os.geteuid() == 0 else None
    if not root.is_dir():
        root.mkdir(parents=True, mode=_PRIVATE if owner is None else _PASSABLE)
    root = root.resolve()
    logs = root / "logs"
    logs.mkdir(mode=_PRIVATE, exist_ok=True)
    _close(logs)
    (root / "children").mkdir(mode=_PRIVATE, exist_ok=True)
    base = root if owner is None or reachable(root, owner) else _elsewhere(root)
    if base != root:
        STATE_FOLDER.mkdir(parents=True, mode=_PUBLIC, exist_ok=True)
        base.mkdir(mode=_PASSABLE, exist_ok=True)
    return Home(root, base, _socket_folder(base, owner), logs, owner)


def remove_home(root: Path) -> None:
    """Remove a home and all that lies in it, or elsewhere for it."""
    root = root.expanduser().resolve()
    for folder in (root, _elsewhere(root), _short_socket_folder(root)):
        shutil.rmtree(folder, ignore_errors=True)


def reachable(folder: Path, owner: Owner) -> bool:
    """Whether this user can pass through each folder down to this one."""
    for part in (folder, *folder.parents):
        status = part.stat()
        bit = stat.S_IXUSR if status.st_uid == owner.uid else stat.S_IXOTH
        if not status.st_mode & bit:
            return False
    return True


def own_folder(folder: Path, owner: Owner | None) -> None:
    """Make a folder that only its owner can enter. Raises `StartFailed` if foreign."""
    folder.mkdir(mode=_PRIVATE, exist_ok=True)
    status = folder.lstat()
    # In a folder for all, such as /tmp, somebody else may have been faster.
    ours = {os.geteuid()} if owner is None else {os.geteuid(), owner.uid}
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in ours:
        raise StartFailed(f"{folder} belongs to somebody else")
    folder.chmod(_PRIVATE)
    if owner is not None:
        os.chown(folder, *owner)


def open_log(path: Path) -> IO[bytes]:
    """Open a log to write at its end; nobody else may read it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, _PRIVATE_FILE), "ab")


def _close(logs: Path) -> None:
    """Close what an older version has left open."""
    logs.chmod(_PRIVATE)
    for path in logs.glob("*.log"):
        path.chmod(_PRIVATE_FILE)


def _unprivileged() -> Owner:
    user = pwd.getpwnam("nobody")
    return Owner(user.pw_uid, user.pw_gid)


def _name(root: Path) -> str:
    return hashlib.sha256(os.fsencode(root)).hexdigest()[:16]


def _elsewhere(root: Path) -> Path:
    return STATE_FOLDER / _name(root)


def _short_socket_folder(base: Path) -> Path:
    return Path(tempfile.gettempdir()) / f"holdfast-{_name(base)}"


def _socket_folder(base: Path, owner: Owner | None) -> Path:
    folder = base / "run"
    path = os.fsencode(folder)
    # In URLs and in the servers' own settings other characters mean something.
    if len(path) > _SOCKET_PATH_MAX or not _PLAIN.fullmatch(path):
        folder = _short_socket_folder(base)
    own_folder(folder, owner)
    return folder
