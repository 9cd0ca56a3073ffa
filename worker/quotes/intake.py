"""Taking in rows: checked, trimmed, without duplicates, and with what recurs.

Which ids recur is known only once all rows were read. So records lie in a file of their
own meanwhile, a line for each block, and come back from it one block after another:
however many there are, little of each is held.
"""

from array import array
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO, NamedTuple

from pricing.quote import Recurring
from storage.errors import DiskFull
from worker.infrastructure.errors import Code, Refused
from worker.quotes.duplicates import Hashes, Repeat, Repeats
from worker.quotes.kept_records import KeptRecords, from_line, to_line
from worker.quotes.problems import Problems
from worker.quotes.readers.record_columns import Records, Rows
from worker.quotes.readers.table import Noticed
from worker.quotes.spoiled_ids import SpoiledIds

_HELD_BYTES = 1 << 20
"""A spool that is no larger stays in memory."""

_READ_BYTES = 1 << 18
_SHOWN = 20

_NO_CHARACTER_OF_IDS = "\0"

DECODED_BYTES_MAX = 4 << 30
"""What all records may take, decompressed and written as they are kept."""


@contextmanager
def taken_in(
    blocks: Iterable[Rows],
    records_max: int,
    *,
    skip_bad: bool,
    bytes_max: int = DECODED_BYTES_MAX,
    noticed: Noticed | None = None,
) -> Iterator["Intake"]:
    """Read all rows; those that are records can then be asked for, once.

    What is noticed of the records is told in `noticed`. Once there is a problem, and
    bad rows are not left out, only more problems are looked for. Raises `Refused` above
    the rows that may be, or the bytes that their records may take on the disk.
    """
    with SpooledTemporaryFile(_HELD_BYTES, buffering=_READ_BYTES) as spool:
        intake = Intake(spool, bytes_max, noticed)
        for rows in blocks:
            intake.rows += len(rows)
            if intake.rows > records_max:
                message = f"there are more than {records_max} records"
                raise Refused(Code.TOO_LARGE, message, records_max=records_max)
            for found in rows.bad.values():
                intake.problems.add(found)
            intake.trimmed += rows.trimmed
            if skip_bad or not intake.problems.total:
                intake.take(rows.records)
        intake.count()
        yield intake


class _Repeated(NamedTuple):
    """The hashes of what stands more than once."""

    companies: AbstractSet[int]
    persons: AbstractSet[int]
    alone: AbstractSet[int]
    """Of companies without a person."""


class Intake:
    """Records that were read, on their way to an upload or into a quote.

    `companies` and `persons` are how many different ones there are.
    """

    def __init__(
        self, spool: IO[bytes], bytes_max: int, noticed: Noticed | None = None
    ) -> None:
        self.problems = Problems()
        self.rows = 0
        self.trimmed = 0
        self.duplicates = 0
        """Complete once all records were asked for."""
        self.companies = 0
        self.persons = 0
        self._taken = 0
        self._spool = spool
        self._bytes_max = bytes_max
        self._bytes = 0
        self._companies, self._persons, self._alone = Hashes(), Hashes(), Hashes()
        # Those that stand in two blocks behind each other: mostly one company.
        self._adjacent = array("q")
        self._latest: set[str] = set()
        self._repeated = _Repeated(frozenset(), frozenset(), frozenset())
        self._repeats = Repeats()
        self._noticed = noticed or Noticed(format="")
        self._spoiled = SpoiledIds()

    @property
    def records(self) -> int:
        """How many records there are, once all were asked for."""
        return self._taken - self.duplicates

    def take(self, records: Records) -> None:
        """Take some more records."""
        if not len(records):
            return
        self._taken += len(records)
        self._spoiled.look_at(records)
        companies = set(records.company_ids)
        self._adjacent.extend(map(hash, companies & self._latest))
        self._companies.add(map(hash, companies - self._latest))
        self._latest = companies
        if None in records.person_ids:
            pairs = zip(records.company_ids, records.person_ids, strict=True)
            self._alone.add(hash(company) for company, person in pairs if not person)
            self._persons.add(hash(one) for one in records.person_ids if one)
        else:
            self._persons.add(map(hash, records.person_ids))
        line = to_line(KeptRecords(records))
        self._bytes += len(line)
        if self._bytes > self._bytes_max:
            message = (
                f"the records take more than {self._bytes_max} bytes: hand in fewer"
            )
            raise Refused(Code.TOO_LARGE, message, bytes_max=self._bytes_max)
        try:
            self._spool.write(line)
        except OSError as error:
            raise DiskFull("no room left for what is being read") from error

    def count(self) -> None:
        """Find what stands more than once, when all were taken."""
        self._noticed.spoiled_total = self._spoiled.total
        self._noticed.spoiled = self._spoiled.first
        self.companies, companies = self._companies.counted()
        self.persons, persons = self._persons.counted()
        _, alone = self._alone.counted()
        if persons or alone:
            # What joins two blocks may be a duplicate, and then does so no longer.
            companies.update(self._adjacent)
        self._repeated = _Repeated(companies, persons, alone)
        self._companies = self._persons = self._alone = Hashes()
        self._adjacent, self._latest = array("q"), set()

    def lines(self) -> Iterator[bytes]:
        """All records without their duplicates, as `kept_records` has them."""
        if any(self._repeated):
            yield from map(to_line, self.blocks())
        else:
            yield from self._spooled()

    def blocks(self) -> Iterator[KeptRecords]:
        """All records without their duplicates, and what recurs among them."""
        for line in self._spooled():
            kept = from_line(line)
            if any(self._repeated):
                kept = self._without_duplicates(kept.records)
            if len(kept.records):
                yield kept

    def _spooled(self) -> Iterator[bytes]:
        self._spool.seek(0)
        yield from self._spool

    def _without_duplicates(self, records: Records) -> KeptRecords:
        known, persons, doubles = self._repeated, set(), set()
        for place, (company_id, person_id) in enumerate(
            zip(records.company_ids, records.person_ids, strict=True)
        ):
            if person_id is None:
                again = hash(company_id) in known.alone
            else:
                again = hash(person_id) in known.persons
            if again and self._is_double(records, place):
                doubles.add(place)
            elif again and person_id is not None:
                persons.add(person_id)
        companies = {
            one for one in set(records.company_ids) if hash(one) in known.companies
        }
        if doubles:
            self.duplicates += len(doubles)
            records = records.at(
                [at for at in range(len(records)) if at not in doubles]
            )
        return KeptRecords(records, Recurring(companies, persons))

    def _is_double(self, records: Records, place: int) -> bool:
        """Whether the same was there before; what else it says now is told."""
        company_id, person_id = records.company_ids[place], records.person_ids[place]
        said = frozenset(
            (name, cells[place])
            for name, cells in records.others.items()
            if cells[place]
        )
        repeat = self._repeats.before(
            f"{company_id}{_NO_CHARACTER_OF_IDS}{person_id or ''}", said
        )
        if repeat is Repeat.DIFFERS:
            self._noticed.duplicates_differing += 1
            if len(self._noticed.differing) < _SHOWN:
                self._noticed.differing.append(records.numbers[place])
        return repeat is not Repeat.NONE
