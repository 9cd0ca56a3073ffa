"""What a kind of job has to say while it is quoted; exports and pushes say it.

They are handed in by the wiring, by the name that a request gives.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

from storage.quotes.quotes import Request
from worker.infrastructure.dependencies import Deps
from worker.quotes.readers.record_columns import Records


class QuoteCheck(Protocol):
    """Looks at the records of one quote as they pass, without their duplicates."""

    def look_at(self, batch: Records) -> None:
        """Note what is wrong with some records; `end` raises it."""

    def left_out(self, batch: Records) -> AbstractSet[int]:
        """The numbers of the records that the job does without."""

    def end(self, columns: Sequence[str]) -> None:
        """Raise `BadInput` where such records and columns make no such job."""


class QuotedKind(Protocol):
    """One kind of job, as far as quotes need to know it."""

    def resolved(self, deps: Deps, request: Request) -> Request:
        """A request with what it names spelled out.

        Raises `Refused`, and `BadInput` where no job of this kind can be like that.
        """

    def quote_check(self, deps: Deps, request: Request) -> QuoteCheck:
        """Who looks at the records. Raises `BadInput` and `Refused`."""


@dataclass(frozen=True, kw_only=True)
class QuoteDeps(Deps):
    """What use cases around quotes are given: the kinds of jobs by their names."""

    kinds: Mapping[str, QuotedKind]
