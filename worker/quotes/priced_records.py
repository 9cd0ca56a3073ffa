"""The priced records of a job, each a line of its input: a JSON array.

A line is `[number, fields, own, claims]`: the record's number, its fields by column,
the digest of what its person is looked up by, and its claims with their frozen prices,
each `[item, digest, credits]`. The digest of most claims is `"own"`: the one of their
line. A record that the export leaves out has no claims.
"""

import json
from collections.abc import Iterator
from typing import NamedTuple

from pricing.claims import KNOWN, OWN, PricedClaim
from pricing.plans import Item
from storage.files.artifacts import Artifacts
from worker.quotes.duplicates import Seen
from worker.quotes.readers.records import Change, Record, encode


class PricedRecord(NamedTuple):
    """A record with the claims that it was quoted at."""

    record: Record
    claims: tuple[PricedClaim, ...]
    own: str = KNOWN
    """What its person is looked up by, also where the directory knows the id."""

    @property
    def is_left_out(self) -> bool:
        """Whether the export does without it: every other asks for its company."""
        return not self.claims


def parse(lines: list[bytes]) -> Iterator[PricedRecord]:
    """Priced records from their lines."""
    for line in lines:
        number, fields, own, claims = json.loads(line)
        yield PricedRecord(
            Record(number, fields),
            tuple(
                PricedClaim(Item(item), own if digest == OWN else digest, credits_)
                for item, digest, credits_ in claims
            ),
            own,
        )


def rewritten(line: bytes, change: Change) -> bytes:
    """A line with its fields changed, as long as before: slices begin where they did.

    The change makes no fields longer.
    """
    number, fields, *priced = json.loads(line)
    fresh = change(fields)
    if fresh == fields:
        return line
    encoded = encode((number, fresh, *priced)).encode()
    return encoded.ljust(len(line) - 1) + b"\n"


def fits_records(artifacts: Artifacts, name: str, available: int) -> int:
    """How many of the first records of a job's input cost at most this together."""
    # By digests: a million records can hold three million claims.
    seen = Seen()
    cost = count = 0
    with artifacts.open(name) as stream:
        for line in stream:
            for priced in parse([line]):
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
