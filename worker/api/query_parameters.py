"""Query parameters: what a route does not declare is refused, as in a body.

A name with a slip in it would otherwise be as if it were not there: `?licence=beta`
would answer with the charges of every license.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant

from worker.infrastructure.errors import BadInput, Problem

_MANY = (list, set, tuple, frozenset)


class QueryParameters:
    """What a route takes in its query: what its function declares."""

    def __init__(self, dependant: Dependant) -> None:
        self._takes_many = dict(_declared(dependant))

    def check(self, request: Request) -> None:
        """Raise `BadInput` for what is not known, and for one that is given twice."""
        given = [name for name, _ in request.query_params.multi_items()]
        problems = [
            Problem(0, name, message)
            for name in dict.fromkeys(given)
            if (message := self._problem(name, given.count(name)))
        ]
        if problems:
            raise BadInput(problems)

    def _problem(self, name: str, times: int) -> str | None:
        if name not in self._takes_many:
            return f"is no query parameter of this request; {self._instead(name)}"
        if times > 1 and not self._takes_many[name]:
            return f"is given {times} times; give it once"
        return None

    def _instead(self, name: str) -> str:
        known = sorted(self._takes_many)
        close = get_close_matches(name.lower(), known, n=1)
        if close:
            return f"did you mean {close[0]}?"
        return f"there are {', '.join(known)}" if known else "there is none"


def _declared(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """Each parameter, with whether it may be given several times."""
    for field in dependant.query_params:
        yield field.alias, get_origin(field.field_info.annotation) in _MANY
    for needed in dependant.dependencies:
        yield from _declared(needed)
