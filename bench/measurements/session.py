"""What the measurements of one run share, started when the first of them asks."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

from bench.installations.builds import Build, build_of, this_build
from bench.installations.installation import Installation, installed
from bench.report.sizes import Sizes
from bench.rivals.rival_database import RivalDatabase, rival_database


@dataclass
class Session:
    """One run: its sizes, and what is up for it until its end."""

    sizes: Sizes
    persons: int
    """How many persons the directories know."""
    against: str | None
    """The commit that is measured beside this build, if any."""
    cleanup: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cleanup.close()

    @cached_property
    def build(self) -> Build:
        """What is measured."""
        return this_build()

    @cached_property
    def build_before(self) -> Build | None:
        """What it is measured against, where a commit was named."""
        return build_of(self.against) if self.against else None

    @cached_property
    def installation(self) -> Installation:
        """This build, up."""
        persons = self.persons
        return self.cleanup.enter_context(installed(self.build, persons=persons))

    @cached_property
    def before(self) -> Installation | None:
        """The earlier build, up beside it."""
        if self.build_before is None:
            return None
        build = self.build_before
        return self.cleanup.enter_context(installed(build, persons=self.persons))

    @cached_property
    def rivals(self) -> RivalDatabase:
        """The rivals' database, on the server of this build."""
        return self.cleanup.enter_context(rival_database(self.installation))

    def file(self, name: str, data: bytes) -> Path:
        """A file that is there until the end of the run."""
        path = self.installation.folder / name
        path.write_bytes(data)
        return path
