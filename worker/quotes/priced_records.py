"""The priced records of a job, by columns: what its input holds, slice by slice.

A slice is a line of two JSON objects with a tab between them. The first has `numbers`,
`companies`, `persons` (null for the company alone), `claims` and `patterns`; the
second all other fields by their columns, "" where a record has none. The claims of most
records are the same few: each names one of the patterns, which is a list of
`[item, digest, credits]`. The digest of most claims is `"own"`: that of what their
person is looked up by. A record that the export leaves out has no claims.

Inputs of before hold those digests, too, as `owns`, and earlier ones a record a line,
`[number, fields, own, claims]`. They are what the fields say.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import orjson

from pricing.claims import KNOWN, PricedClaim, resolved
from pricing.plans import Item
from storage.files.artifacts import Artifacts
from worker.quotes.duplicates import Seen
from worker.quotes.readers.record_columns import (
    digests_of,
    ids_encoded,
    others_of,
    with_more,
)
from worker.quotes.readers.records import (
    COMPANY_ID,
    PERSON_ID,
    Change,
    Record,
    encode,
)

Claims = tuple[PricedClaim, ...]


class PricedRecord(NamedTuple):
    """A record with the claims that it was quoted at."""

    record: Record
    claims: Claims
    own: str = KNOWN
    """What its person is looked up by, also where the directory knows the id."""

    @property
    def is_left_out(self) -> bool:
        """Whether the export does without it: every other asks for its company."""
        return not self.claims


@dataclass(frozen=True, kw_only=True)
class PricedRecords:
    """Some priced records in their order; what stands at one place is a record.

    `claims` are places in `patterns`; `others` are the fields that are no ids.
    """

    numbers: Sequence[int]
    company_ids: Sequence[str]
    person_ids: Sequence[str | None]
    claims: Sequence[int]
    patterns: Sequence[Claims]
    others: Mapping[str, Sequence[str]]

    def __len__(self) -> int:
        """How many records they are."""
        return len(self.numbers)

    @cached_property
    def owns(self) -> Sequence[str]:
        """What each person is looked up by, also where the directory knows the id."""
        return digests_of(self.person_ids, self.others)

    def part(self, start: int, stop: int) -> "PricedRecords":
        """Those from one place on and before another."""
        if start == 0 and stop >= len(self):
            return self
        return PricedRecords(
            numbers=self.numbers[start:stop],
            company_ids=self.company_ids[start:stop],
            person_ids=self.person_ids[start:stop],
            claims=self.claims[start:stop],
            patterns=self.patterns,
            others={name: cells[start:stop] for name, cells in self.others.items()},
        )

    def at(self, places: Sequence[int]) -> "PricedRecords":
        """Those at some places, in their order."""
        if len(places) == len(self):
            return self
        return PricedRecords(
            numbers=[self.numbers[place] for place in places],
            company_ids=[self.company_ids[place] for place in places],
            person_ids=[self.person_ids[place] for place in places],
            claims=[self.claims[place] for place in places],
            patterns=self.patterns,
            others={
                name: [cells[place] for place in places]
                for name, cells in self.others.items()
            },
        )

    def stripped(self, name: str) -> list[str]:
        """A field of each without white space around it, "" where there is none."""
        if name == COMPANY_ID:
            return [one.strip() for one in self.company_ids]
        if name == PERSON_ID:
            return [(one or "").strip() for one in self.person_ids]
        cells = self.others.get(name)
        return [""] * len(self) if cells is None else [one.strip() for one in cells]

    def each(self) -> Iterator[PricedRecord]:
        """The records one by one."""
        names = tuple(self.others)
        rows = zip(*self.others.values(), strict=True) if names else iter(())
        for number, company_id, person_id, own, claims in zip(
            self.numbers,
            self.company_ids,
            self.person_ids,
            self.owns,
            self.claims,
            strict=True,
        ):
            fields = {COMPANY_ID: company_id, PERSON_ID: person_id or ""}
            fields.update(zip(names, next(rows, ()), strict=True))
            pattern = resolved(self.patterns[claims], own)
            yield PricedRecord(Record(number, fields), pattern, own)

    def with_ids_alone(self, persons: set[str]) -> "PricedRecords":
        """The same, with the ids alone where they tell of one of these persons."""
        places = {p for p, one in enumerate(self.person_ids) if one in persons}
        if not places:
            return self
        return replace(
            self,
            others={
                name: ["" if p in places else cell for p, cell in enumerate(cells)]
                for name, cells in self.others.items()
            },
        )

    def encoded(self) -> bytes:
        """The line of an input that holds them."""
        ids = ids_encoded(self.numbers, self.company_ids, self.person_ids)
        others = encode(self.others)
        return encoded(ids, self.claims, self.patterns, others)


def encoded(
    ids: bytes, claims: Sequence[int], patterns: Sequence[Claims], others: bytes
) -> bytes:
    """A line of an input, with those of the patterns that its records have.

    `ids` and `others` are the JSON of whom the records name and of their other fields.
    """
    places = {place: new for new, place in enumerate(sorted(set(claims)))}
    head = with_more(ids, "claims", list(map(places.__getitem__, claims)))
    used = [list(map(list, patterns[place])) for place in places]
    head = with_more(head, "patterns", used)
    return b"%b\t%b\n" % (head, others)


def joined(first: PricedRecords, second: PricedRecords) -> PricedRecords:
    """Some priced records and those behind them."""
    names = dict.fromkeys([*first.others, *second.others])
    skipped = len(first.patterns)
    return PricedRecords(
        numbers=[*first.numbers, *second.numbers],
        company_ids=[*first.company_ids, *second.company_ids],
        person_ids=[*first.person_ids, *second.person_ids],
        claims=[*first.claims, *(skipped + place for place in second.claims)],
        patterns=[*first.patterns, *second.patterns],
        others={
            name: [
                *(first.others.get(name) or [""] * len(first)),
                *(second.others.get(name) or [""] * len(second)),
            ]
            for name in names
        },
    )


def parse(data: bytes) -> PricedRecords:
    """The records of a slice, or of any line of an input."""
    if data.startswith(b"["):
        return _of_before(data)
    first, _, second = data.partition(b"\t")
    head = orjson.loads(first)
    return PricedRecords(
        numbers=head["numbers"],
        company_ids=head["companies"],
        person_ids=head["persons"],
        claims=head["claims"],
        patterns=[_pattern(claims) for claims in head["patterns"]],
        others=orjson.loads(second),
    )


def _pattern(claims: Sequence[Sequence[Any]]) -> Claims:
    return tuple(PricedClaim(Item(item), *priced) for item, *priced in claims)


def _of_before(data: bytes) -> PricedRecords:
    """A slice of an input that holds a record a line."""
    rows = [orjson.loads(line) for line in data.splitlines()]
    patterns: dict[Claims, int] = {}
    numbers, fields, claims = [], [], []
    for number, given, _, priced in rows:
        numbers.append(number)
        fields.append(given)
        claims.append(patterns.setdefault(_pattern(priced), len(patterns)))
    return PricedRecords(
        numbers=numbers,
        company_ids=[given[COMPANY_ID] for given in fields],
        person_ids=[given.get(PERSON_ID) or None for given in fields],
        claims=claims,
        patterns=list(patterns),
        others=others_of(fields),
    )


def read_all(artifacts: Artifacts, name: str) -> Iterator[PricedRecords]:
    """The records of an input, some at a time."""
    with artifacts.open(name) as stream:
        for line in stream:
            yield parse(line)


def rewritten(line: bytes, change: Change) -> bytes:
    """A line with its fields changed, as long as before: slices begin where they did.

    The change makes no fields longer.
    """
    if line.startswith(b"["):
        return _rewritten_of_before(line, change)
    records = parse(line)
    fields = [priced.record.fields for priced in records.each()]
    fresh = [change(given) for given in fields]
    if fresh == fields:
        return line
    others = {name: [given.get(name, "") for given in fresh] for name in records.others}
    encoded = replace(records, others=others).encoded()
    return encoded[:-1].ljust(len(line) - 1) + b"\n"


def _rewritten_of_before(line: bytes, change: Change) -> bytes:
    number, fields, *priced = orjson.loads(line)
    fresh = change(fields)
    if fresh == fields:
        return line
    encoded = encode((number, fresh, *priced))
    return encoded.ljust(len(line) - 1) + b"\n"


def fits_records(artifacts: Artifacts, name: str, available: int) -> int:
    """How many of the first records of a job's input cost at most this together."""
    # By digests: a million records can hold three million claims.
    seen = Seen()
    cost = count = 0
    for records in read_all(artifacts, name):
        for priced in records.each():
            cost += sum(
                claim.credits
                for claim in priced.claims
                if claim.credits and not seen.before(_key_of(priced.record, claim))
            )
            if cost > available:
                return count
            count += 1
    return count


def _key_of(record: Record, claim: PricedClaim) -> str:
    """One text for each item and subject; no id holds the character between."""
    return f"{claim.item}\0{subject_of(record, claim)}\0{claim.digest}"


def subject_of(record: Record, claim: PricedClaim) -> str:
    """The id that a claim of a record belongs to."""
    company = claim.item is Item.COMPANY
    return record.company_id if company else record.person_id or ""
