"""The builds that are measured: this checkout, and an earlier commit beside it."""

import io
import os
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".bench"
"""Earlier commits with their own environments, made once; git ignores it."""

_PRODUCT = ("pricing", "storage", "worker")


@dataclass(frozen=True, slots=True)
class Build:
    """A source tree with its environment, and the commit that it was made of."""

    root: Path
    commit: str

    @property
    def holdfast(self) -> Path:
        """Its command line."""
        return self.root / ".venv" / "bin" / "holdfast"


def _git(*words: str) -> bytes:
    return subprocess.run(
        ("git", "-C", str(ROOT), *words), check=True, capture_output=True
    ).stdout


def this_build() -> Build:
    """The checkout, by the commit that last changed the product.

    A plus says that it has changes since; a question mark, that git cannot say.
    """
    try:
        commit = _git("log", "-1", "--format=%h", "--", *_PRODUCT).decode().strip()
        is_changed = bool(_git("status", "--porcelain", "--", *_PRODUCT))
    except (OSError, subprocess.CalledProcessError):
        return Build(ROOT, "?")
    return Build(ROOT, f"{commit}+" if is_changed else commit)


def build_of(commit: str) -> Build:
    """A commit's tree with an environment of its own, made where it is missing."""
    named = _git("rev-parse", "--short", f"{commit}^{{commit}}").decode().strip()
    root = KEPT / named
    if not root.is_dir():
        root.mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(_git("archive", named))) as archive:
            archive.extractall(root, filter="data")
    if not (root / ".venv" / ".ready").exists():
        make = ("make", "setup")
        env = {name: word for name, word in os.environ.items() if name != "MAKEFLAGS"}
        subprocess.run(make, cwd=root, env=env, check=True, stdout=subprocess.DEVNULL)
    return Build(root, named)
