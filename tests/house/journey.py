"""The way of a use case through the house: which rooms it enters, in which order.

A room is a noun of the domain: a folder of the worker, its families of siblings with
it. What everything stands on (storage, pricing, infrastructure) and what holds it
together (the wiring) is no room. The way is seen, not guessed: each function counts
when it is called for the first time. A *stay* is a run of such calls in one room. The
way goes *up* where a stay follows in a room that may import the one that was left; it
*returns* where a stay follows in a room that was entered before.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import CodeType, FrameType

from tests.house import layout
from tests.house.rules import ROOT

_NO_ROOMS = frozenset({"infrastructure"})
_WORKER = f"{ROOT / 'worker'}/"


@dataclass
class Journey:
    """The stays of one way, in order."""

    stays: list[str] = field(default_factory=list)

    @property
    def rooms(self) -> list[str]:
        """The rooms in the order in which they were first entered."""
        return list(dict.fromkeys(self.stays))

    @property
    def returns(self) -> int:
        """How often a room was entered that had been left."""
        return len(self.stays) - len(self.rooms)

    @property
    def climbs(self) -> int:
        """How often the way went up."""
        pairs = zip(self.stays, self.stays[1:], strict=False)
        return sum(_floors()[then] > _floors()[now] for now, then in pairs)


@contextmanager
def followed() -> Iterator[Journey]:
    """Follow whatever this thread calls inside the block."""
    journey = Journey()
    seen: set[CodeType] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event != "call" or code in seen:
            return
        seen.add(code)
        here = _room_of(code.co_filename)
        if here and not _is_no_stop(frame) and journey.stays[-1:] != [here]:
            journey.stays.append(here)

    sys.setprofile(note)
    try:
        yield journey
    finally:
        sys.setprofile(None)


def _is_no_stop(frame: FrameType) -> bool:
    """Whether nobody follows this call: an import, or a look at a value."""
    is_import = frame.f_code.co_name == "<module>"
    return is_import or isinstance(frame.f_locals.get("self"), tuple)


def _room_of(path: str) -> str | None:
    if not path.startswith(_WORKER):
        return None
    noun, *below = path.removeprefix(_WORKER).split("/")
    return noun if below and noun not in _NO_ROOMS else None


@cache
def _floors() -> dict[str, int]:
    """How many rooms lie below each one in the layout's table, one upon the other."""
    floors: dict[str, int] = {}
    for folder in layout.MAY_IMPORT:
        room = _room_of(f"{ROOT / folder}/_")
        if room:
            below = {_room_of(f"{ROOT / other}/_") for other in layout.allowed(folder)}
            known = [floors[other] for other in below - {room} if other in floors]
            floors[room] = max(floors.get(room, 0), 1 + max(known, default=-1))
    return floors
