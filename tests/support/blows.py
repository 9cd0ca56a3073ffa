"""Blows: what can happen to an installation at any moment, by chance from a seed."""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.support.fleet import kill
from tests.support.installations import Installation

_AWAY_S = (0.2, 4.0)
_DAYS_AHEAD = 40
_TWICE = 0.3
"""How often what all others depend on is struck while it starts."""
_DAY_S = 86_400


class Blows:
    """Strikes an installation; `done` tells what it did, for whoever wants to know."""

    def __init__(self, at: Installation, seed: int) -> None:
        self._at = at
        self._dice = random.Random(seed)
        self.done: list[str] = []
        self._lets_start = False
        self._blows: list[Callable[[], str]] = [
            *[self._kill] * 5,
            *[self._freeze] * 3,
            self._terminate,
            self._empty_broker,
            self._take_files_away,
            self._start_in_another_time,
            *([self._strike_connections] * 3 if at.proxies else []),
        ]

    def strike(self) -> None:
        """One blow, over when this returns."""
        if self._lets_start and self._dice.random() > _TWICE:
            self._at.wait_until_ready()
        self._lets_start = False
        self.done.append(self._dice.choice(self._blows)())

    def _away(self) -> None:
        time.sleep(self._dice.uniform(*_AWAY_S))

    def _pick(self) -> tuple[str, int] | None:
        roles = self._at.roles()
        if not roles:
            return None
        role = self._dice.choice(sorted(roles))
        return role, self._dice.choice(roles[role])

    def _send(self, number: signal.Signals, pids: list[int]) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _signal_one(self, number: signal.Signals) -> str:
        picked = self._pick()
        if picked is None:
            return "nobody was there"
        role, pid = picked
        self._send(number, [pid])
        self._lets_start = role == "up"
        return f"{number.name} to {role}"

    def _kill(self) -> str:
        return self._signal_one(signal.SIGKILL)

    def _terminate(self) -> str:
        return self._signal_one(signal.SIGTERM)

    def _freeze(self) -> str:
        """Stop all processes of one role for a while."""
        picked = self._pick()
        if picked is None:
            return "nobody was there"
        role, _ = picked
        pids = self._at.roles().get(role, [])
        self._send(signal.SIGSTOP, pids)
        self._away()
        self._send(signal.SIGCONT, pids)
        return f"froze {role}"

    def _empty_broker(self) -> str:
        # One that is away at this moment is emptied another time.
        with suppress(OSError):
            self._at.empty_broker()
        return "emptied the broker"

    def _take_files_away(self) -> str:
        """The store's folder is gone for a while; what is written meanwhile is kept."""
        aside = self._at.files.with_name("files aside")
        with suppress(FileNotFoundError):
            self._at.files.rename(aside)
            self._away()
            _put_back(aside, self._at.files)
        return "took the files away"

    def _start_in_another_time(self) -> str:
        """A process of another clock lives beside the others for a while."""
        ahead_s = self._dice.choice((-1, 1)) * _DAYS_AHEAD * _DAY_S
        other = self._at.command("dispatcher", CLOCK_OFFSET_S=str(ahead_s))
        self._away()
        kill(other)
        return f"had a dispatcher {ahead_s} s ahead"

    def _strike_connections(self) -> str:
        """A server is cut off, hangs, or is away for a while."""
        name = self._dice.choice(sorted(self._at.proxies))
        proxy = self._at.proxies[name]
        how = self._dice.choice(("cut", "freeze", "leave"))
        if how == "cut":
            proxy.cut()
        elif how == "freeze":
            proxy.freeze()
            self._away()
            proxy.thaw()
        else:
            proxy.leave()
            self._away()
            proxy.come_back()
        return f"{how} {name}"


def _put_back(aside: Path, place: Path) -> None:
    """Bring a folder back, also where another has been made in its place."""
    for path in sorted(aside.rglob("*")):
        target = place / path.relative_to(aside)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    for path in sorted(aside.rglob("*"), reverse=True):
        path.rmdir()
    aside.rmdir()
