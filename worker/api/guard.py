"""Who may call what: each route says it, and a route that says nothing is admin's.

The checks come in one order: the key (401), its scope (403), whose thing it is (404),
then what was sent (422). A key that is bound to a license does not learn that the
things of another exist.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from fastapi.routing import APIRoute
from sqlalchemy import Connection

from storage import keys
from storage.keys import Key
from storage.states import Scope
from worker.api.door import Door, door_of
from worker.api.replay import IDEMPOTENCY_KEY, replayed
from worker.errors import Code, Refused
from worker.keys import digest_of, keep_bootstrap_key
from worker.records import id_problem

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])

OwnerOf = Callable[[Connection, str], str | None]
"""The license that a thing of this id belongs to, if there is one."""


class Whose(NamedTuple):
    """The path's parameter that names a thing, and who knows its license."""

    parameter: str
    owner_of: OwnerOf


@dataclass(frozen=True, slots=True)
class Rule:
    """Which scopes may call a route, besides admin, and whose thing its path names."""

    scopes: frozenset[Scope] = frozenset()
    of: Whose | None = None
    spools: bool = False
    """Whether the route reads its own body, and sees to its Idempotency-Key."""
    secret: bool = False
    """Whether the answer shows a secret: then it is kept encrypted."""


_RULE = "holdfast_rule"


def allow(
    *scopes: Scope,
    of: Whose | None = None,
    spools: bool = False,
    secret: bool = False,
) -> Callable[[_Endpoint], _Endpoint]:
    """Say who may call a route, and whose thing its path names."""

    def decorate(endpoint: _Endpoint) -> _Endpoint:
        setattr(endpoint, _RULE, Rule(frozenset(scopes), of, spools, secret))
        return endpoint

    return decorate


def rule_of(endpoint: Callable[..., Any]) -> Rule:
    """What a route says of itself."""
    rule: Rule = getattr(endpoint, _RULE, Rule())
    return rule


def license_itself(_: Connection, license_id: str) -> str:
    """The owner of what a license's own id names."""
    return license_id


def caller_of(request: Request) -> Key:
    """The key that a request was let in with."""
    caller: Key = request.state.caller
    return caller


def see_license(request: Request, license_id: str) -> None:
    """Refuse a bound key the license of another that a body or a query names."""
    bound = caller_of(request).license_id
    if bound is not None and bound != license_id:
        raise Refused(Code.NOT_FOUND, f"there is no license {license_id}")


def seen_license(request: Request, license_id: str | None) -> str | None:
    """The license that a list is of: a bound key sees its own alone."""
    if license_id is not None:
        see_license(request, license_id)
    return license_id or caller_of(request).license_id


class GuardedRoute(APIRoute):
    """A route that checks who calls before anything is read."""

    def get_route_handler(
        self,
    ) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, behind the checks."""
        handle = super().get_route_handler()
        rule = rule_of(self.endpoint)

        async def guarded(request: Request) -> Response:
            door = door_of(request)
            request.state.caller = await run_in_threadpool(_let_in, door, request, rule)
            once = request.method == "POST" and IDEMPOTENCY_KEY in request.headers
            if once and not rule.spools:
                return await replayed(door.deps, request, handle, secret=rule.secret)
            return await handle(request)

        return guarded


def _let_in(door: Door, request: Request, rule: Rule) -> Key:
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    caller = _caller(door, given.strip())
    if kind.lower() != "bearer" or caller is None:
        raise Refused(Code.UNAUTHORIZED, "a key is needed: Authorization: Bearer ...")
    door.rate.count(caller.id)
    if caller.scope is not Scope.ADMIN and caller.scope not in rule.scopes:
        raise Refused(Code.FORBIDDEN, f"a key of scope {caller.scope} may not do this")
    if rule.of is not None:
        named = request.path_params[rule.of.parameter]
        _see(door, caller, rule.of.owner_of, named)
    return caller


def _caller(door: Door, given: str) -> Key | None:
    if not given.isprintable():
        return None
    if given == door.deps.settings.bootstrap_key:
        keep_bootstrap_key(door.deps)
    with door.deps.database.transaction() as connection:
        return keys.use(connection, digest_of(given))


def _see(door: Door, caller: Key, owner_of: OwnerOf, named: str) -> None:
    if caller.license_id is None or id_problem(named):
        return
    with door.deps.database.transaction() as connection:
        owner = owner_of(connection, named)
    if owner != caller.license_id:
        raise Refused(Code.NOT_FOUND, f"there is no {named}")
