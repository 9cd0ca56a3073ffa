"""What can be done in the console: by which verb, to what, and what it will do.

Each is confirmed on a page of its own that says what it will do, and takes a reason.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from storage.operations.action_log import Acting, Actor
from worker.console.forms import ActionForm
from worker.console.mount import PATH
from worker.console.page_table import FINANCE
from worker.console.visits import Visit


class Aim(NamedTuple):
    """What somebody wants to act on: as it is called, whose, and where it is shown.

    `license_id` is None for what is of the house; `state` is how it stands, and
    `values` what a form asks for as it is now.
    """

    id: str
    title: str
    license_id: str | None
    back: str
    state: str = ""
    values: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleAction:
    """A verb on one kind of thing.

    `find` looks the thing up and raises 404 where there is none; `act` does it, and may
    say where to go from there. `form` asks for what else has to be known.
    """

    name: str
    title: str
    effect: str
    find: Callable[[Visit, str], Aim]
    act: Callable[[Visit, Aim, Acting, Any], str | None]
    of_house: bool = False
    of_finance: bool = False
    """Whether finance does it, and not whoever steers jobs."""
    form: type[ActionForm] = ActionForm
    states: frozenset[str] | None = None
    """The states of what it fits; None where it fits all."""

    def fits(self, aim: Aim) -> bool:
        """Whether the state of a thing allows it."""
        return self.states is None or aim.state in self.states


class Offer(NamedTuple):
    """An action as a page offers it."""

    title: str
    url: str


def offer(action: ConsoleAction, target: object) -> Offer:
    """What leads to the confirmation of an action."""
    section = FINANCE.path if action.of_finance else ""
    return Offer(action.title, f"{PATH}{section}/act/{action.name}/{target}")


def by_name(*actions: ConsoleAction) -> Mapping[str, ConsoleAction]:
    """Actions by their names."""
    return {action.name: action for action in actions}


def acting_of(visit: Visit, reason: str) -> Acting:
    """Who acts, from where, and why."""
    client = visit.request.client
    origin = f"console from {client.host if client else 'nowhere'}"
    key = visit.key
    return Acting(Actor(key.name, origin, key.id, key.person), reason)


def check_may(visit: Visit, aim: Aim, *, of_house: bool) -> None:
    """Let nobody act on what is not theirs. Raises 403 or 404."""
    if of_house or aim.license_id is None:
        visit.check_is_of_house()
    else:
        visit.check_sees(aim.license_id)
