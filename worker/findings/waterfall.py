"""The waterfall: who still lacks what, whom to ask next, and what it came to.

Pure: what was remembered and what is answered is noted here, and it says whom each
provider is to be asked about. A provider that cannot answer now is skipped, and the
next one asked; where none could be it says how long to wait, and why.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from pricing.findings import (
    NOTHING,
    EmailLevel,
    EmailStatus,
    Finding,
    accepted,
)
from pricing.plans import Item
from storage.findings import directory
from storage.findings.findings import Key, Memory
from worker.findings.providers.provider import Answer, Person

DIRECTORY = directory.NAME
"""The provider that is our own: it is always up, and never paid."""


class Ask(NamedTuple):
    """A person to be looked up, and what the answer is remembered by."""

    key: Key
    person: Person


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Why look-ups do not go on, and after how many seconds they may.

    Without a reason the worker itself was asked to stop. An `error` is counted, so
    that the delay grows. `awaits` are requests whose end ends the wait.
    """

    reason: str | None
    left_s: float
    error: str | None = None
    awaits: frozenset[str] = frozenset()


def memories_of(
    key: Key, provider: str, items: Iterable[Item], answer: Answer
) -> list[Memory]:
    """What to remember of an answer: what was asked for, and what came beside it."""
    finding = answer.finding
    asked = set(items)
    email, status = finding.email or None, finding.email_status
    found: list[Memory] = []
    if status is EmailStatus.OBJECTED:
        return [Memory(*key, Item.EMAIL, provider, None, status)]
    if email or Item.EMAIL in asked:
        found.append(
            Memory(*key, Item.EMAIL, provider, email, status if email else None)
        )
    if finding.phone or Item.PHONE in asked:
        found.append(Memory(*key, Item.PHONE, provider, finding.phone or None))
    return found


class Waterfall:
    """What is known of some persons, while providers are asked about them in turn."""

    def __init__(
        self, asks: Sequence[Ask], items: Collection[Item], level: EmailLevel
    ) -> None:
        self._asks = {ask.key: ask for ask in asks}
        self._items = frozenset(items)
        self._level = level
        self._answers: dict[Key, dict[tuple[str, Item], Memory]] = defaultdict(dict)
        self._blocked: set[str] = set()
        self._held: dict[Key, Wait] = {}
        self._expected: dict[tuple[str, Key], Wait] = {}
        self._skipped: dict[tuple[Key, Item], list[Wait]] = defaultdict(list)

    @property
    def keys(self) -> Collection[Key]:
        """Everybody who is looked up."""
        return self._asks.keys()

    @property
    def persons(self) -> set[str]:
        """Everybody's ids."""
        return {key.person_id for key in self._asks}

    def ask_of(self, key: Key) -> Ask:
        """Whom a key stands for."""
        return self._asks[key]

    def block(self, persons: Iterable[str]) -> None:
        """Find nothing of these, and ask nobody: they objected."""
        self._blocked.update(persons)

    def note(self, memories: Iterable[Memory]) -> None:
        """Write down answers."""
        for memory in memories:
            if memory.status is EmailStatus.OBJECTED:
                self._blocked.add(memory.person_id)
            elif memory.key in self._asks:
                self._answers[memory.key][memory.provider, memory.item] = memory

    def expect(self, provider: str, key: Key, wait: Wait) -> None:
        """A provider is being asked about somebody already."""
        self._expected[provider, key] = wait

    def pass_over(
        self, provider: str, keys: Iterable[Key], items: Iterable[Item]
    ) -> None:
        """A provider says nothing of these: that counts as nothing found, for now."""
        wanted = list(items)
        self.note(Memory(*key, item, provider) for key in keys for item in wanted)

    def hold(self, keys: Iterable[Key], wait: Wait) -> None:
        """Let these wait for a provider instead of asking the next."""
        for key in keys:
            self._held.setdefault(key, wait)

    def skip(self, keys: Iterable[Key], items: Iterable[Item], wait: Wait) -> None:
        """A provider could not be asked about these: the next one is."""
        for key in keys:
            for item in items:
                self._skipped[key, item].append(wait)

    def lacking(
        self, provider: str, items: Collection[Item]
    ) -> dict[Key, frozenset[Item]]:
        """Whom a provider is to be asked about, and for what."""
        found: dict[Key, frozenset[Item]] = {}
        for key in self._asks:
            if key.person_id in self._blocked or key in self._held:
                continue
            wanted = frozenset(
                item
                for item in self._items & frozenset(items)
                if (provider, item) not in self._answers[key]
                and not self._has(key, item)
            )
            expected = self._expected.get((provider, key))
            if wanted and expected is not None:
                self._held[key] = expected
            elif wanted:
                found[key] = wanted
        return found

    def _has(self, key: Key, item: Item) -> bool:
        return any(
            self._counts(memory)
            for (_, of), memory in self._answers[key].items()
            if of is item
        )

    def _counts(self, memory: Memory) -> bool:
        """Whether an answer is found at the level that the buyer accepts."""
        if memory.item is Item.PHONE:
            return memory.value is not None
        status = memory.status or EmailStatus.UNKNOWN
        finding = Finding(memory.value, status)
        return accepted(finding, self._level, email=True, phone=False).email is not None

    def to_verify(self, verifier: str, account: str) -> list[Ask]:
        """Whose address is of unknown status, and not from the verifier itself."""
        own = {verifier, account}
        return [
            ask._replace(person=replace(ask.person, unverified=address))
            for key, ask in self._asks.items()
            if Item.EMAIL in self._items
            and key.person_id not in self._blocked
            and key not in self._held
            and not self._has(key, Item.EMAIL)
            and (address := self._unverified(key, own)) is not None
        ]

    def _unverified(self, key: Key, own: Collection[str]) -> str | None:
        """The first address of unknown status that the verifier has said nothing of."""
        emails = [
            memory for (_, of), memory in self._answers[key].items() if of is Item.EMAIL
        ]
        told = {memory.value for memory in emails if memory.provider in own}
        return next(
            (
                memory.value
                for memory in emails
                if memory.status is EmailStatus.UNKNOWN
                and memory.provider != DIRECTORY
                and memory.value not in told
            ),
            None,
        )

    def wait(self) -> Wait | None:
        """How long to wait, where somebody's answer is to come; the shortest wait."""
        waits = [
            wait
            for key, wait in self._held.items()
            if key.person_id not in self._blocked
        ]
        waits += [
            min(skips, key=lambda skip: skip.left_s)
            for (key, item), skips in self._skipped.items()
            if not self._was_answered(key, item)
        ]
        first = min(waits, key=lambda wait: wait.left_s, default=None)
        if first is None:
            return None
        awaits = frozenset().union(*(wait.awaits for wait in waits))
        return replace(first, awaits=awaits)

    def _was_answered(self, key: Key, item: Item) -> bool:
        """Whether a provider besides the directory had its say, or none is needed."""
        return (
            key.person_id in self._blocked
            or self._has(key, item)
            or any(
                of is item and provider != DIRECTORY
                for provider, of in self._answers[key]
            )
        )

    def findings(self, order: Sequence[str]) -> Mapping[Key, Finding]:
        """What was found of each at the accepted level, by the first who found it."""
        return {key: self._finding(key, order) for key in self._asks}

    def _finding(self, key: Key, order: Sequence[str]) -> Finding:
        if key.person_id in self._blocked:
            return NOTHING
        email = self._first(key, Item.EMAIL, order)
        phone = self._first(key, Item.PHONE, order)
        return Finding(
            email=email.value if email else None,
            email_status=(email.status if email else None) or EmailStatus.UNKNOWN,
            phone=phone.value if phone else None,
            email_by=self._finder(email, order) if email else None,
            phone_by=phone.provider if phone else None,
        )

    def _finder(self, email: Memory, order: Sequence[str]) -> str:
        """Who found an address, where another verified it."""
        if email.provider in order:
            return email.provider
        finders = {
            provider
            for (provider, item), memory in self._answers[email.key].items()
            if item is Item.EMAIL and memory.value == email.value
        }
        return next((name for name in order if name in finders), email.provider)

    def _first(self, key: Key, item: Item, order: Sequence[str]) -> Memory | None:
        """By the order; whoever is in it no more comes last."""
        found = [
            memory
            for (_, of), memory in self._answers[key].items()
            if of is item and self._counts(memory)
        ]
        place = {name: number for number, name in enumerate(order)}
        return min(
            found,
            key=lambda memory: (
                place.get(memory.provider, len(place)),
                memory.provider,
            ),
            default=None,
        )
