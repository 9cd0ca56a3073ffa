"""The table of pages: where each is, who may see it, and whose it is."""

from typing import NamedTuple

from storage.access_scopes import Scope

_OPERATORS = frozenset({Scope.OPERATOR, Scope.OBSERVER, Scope.ADMIN})
_ALL = _OPERATORS | {Scope.FINANCE}

FINANCIERS = frozenset({Scope.FINANCE, Scope.ADMIN})
"""Who sees finance, and acts there."""

STEERERS = frozenset({Scope.OPERATOR, Scope.ADMIN})
"""Who may act; all others look."""

SIGN_IN = _ALL
"""Whose key opens the console at all."""


class Page(NamedTuple):
    """A page of the navigation; `of_house` is shut for a key bound to a license."""

    name: str
    path: str
    title: str
    scopes: frozenset[Scope]
    of_house: bool

    def open_to(self, scope: Scope, license_id: str | None) -> bool:
        """Whether a key of this scope and license may see it."""
        return scope in self.scopes and not (self.of_house and license_id is not None)


OVERVIEW = Page("overview", "/", "Overview", _OPERATORS, of_house=True)
JOBS = Page("jobs", "/jobs", "Jobs", _ALL, of_house=False)
QUEUES = Page("queues", "/queues", "Queues", _OPERATORS, of_house=True)
WORKERS = Page("workers", "/workers", "Workers", _OPERATORS, of_house=True)
CONNECTIONS = Page(
    "connections", "/connections", "Connections", _OPERATORS, of_house=False
)
PROVIDERS = Page("providers", "/providers", "Providers", _OPERATORS, of_house=True)
ACTIONS = Page("actions", "/actions", "Action log", _OPERATORS, of_house=False)
FINANCE = Page("finance", "/finance", "Finance", FINANCIERS, of_house=False)

PAGES = (OVERVIEW, JOBS, QUEUES, WORKERS, CONNECTIONS, PROVIDERS, ACTIONS, FINANCE)
