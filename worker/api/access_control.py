"""Who may call what: each route says it, and a route that says nothing is admin's.

The checks come in one order: the key (401), its scope (403), whose thing it is (404),
then what was sent (422): first the names in the query. A key that is bound to a license
does not learn that the things of another exist, whether its path, its query or its body
names them.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from fastapi.routing import APIRoute
from sqlalchemy import Connection

from storage.access_scopes import Scope
from storage.licenses import api_keys
from storage.licenses.api_keys import Key
from storage.operations.action_log import Acting, Actor
from worker.api.context import ApiContext, context_of
from worker.api.encoded_paths import piece
from worker.api.idempotency_keys import IDEMPOTENCY_KEY, replayed
from worker.api.models.operations import Reasoned
from worker.api.query_parameters import QueryParameters
from worker.infrastructure.errors import Code, Refused
from worker.infrastructure.ids import id_problem
from worker.licenses.api_keys import digest_of, is_bootstrap_key, keep_bootstrap_key

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])

OwnerOf = Callable[[Connection, str], str | None]
"""The license that a thing of this id belongs to, if there is one."""


class Whose(NamedTuple):
    """What names a thing, a path's parameter or a body's field, and who owns it."""

    name: str
    owner_of: OwnerOf


@dataclass(frozen=True, slots=True)
class Rule:
    """Which scopes may call a route, besides admin, and whose things it names."""

    scopes: frozenset[Scope] = frozenset()
    of: Whose | None = None
    body: tuple[Whose, ...] = ()
    """The fields of the body that name things."""
    spools: bool = False
    """Whether the route reads its own body, and sees to its Idempotency-Key."""
    secret: bool = False
    """Whether the answer shows a secret: then it is kept encrypted."""
    house: bool = False
    """Whether it is of the house: a key that is bound to a license may not call it."""
    bound: frozenset[Scope] = frozenset()
    """Scopes that may call it besides, with keys that are bound to a license alone."""

    def lets(self, caller: Key) -> bool:
        """Whether a caller's scope may call it."""
        if caller.scope is Scope.ADMIN or caller.scope in self.scopes:
            return True
        return caller.scope in self.bound and caller.license_id is not None


_RULE = "holdfast_rule"


def allow(
    *scopes: Scope,
    of: Whose | None = None,
    body: tuple[Whose, ...] = (),
    spools: bool = False,
    secret: bool = False,
    house: bool = False,
    bound: tuple[Scope, ...] = (),
) -> Callable[[_Endpoint], _Endpoint]:
    """Say who may call a route, and whose things its path and its body name."""

    def decorate(endpoint: _Endpoint) -> _Endpoint:
        rule = Rule(
            *(frozenset(scopes), of, body, spools, secret, house, frozenset(bound))
        )
        setattr(endpoint, _RULE, rule)
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


def seen_license(request: Request, license_id: str | None) -> str | None:
    """The license that a list is of: where none is named, a bound key's own."""
    return license_id or caller_of(request).license_id


def acting_of(request: Request, body: Reasoned | None) -> Acting:
    """By whom, and why, what a request asks for is done: the action log's words."""
    caller = caller_of(request)
    origin = request.client.host if request.client else "unknown"
    reason = body.reason if body else None
    return Acting(Actor(caller.name, origin, caller.id, caller.person), reason)


class CheckedRoute(APIRoute):
    """A route that checks who calls before anything is read."""

    def get_route_handler(
        self,
    ) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, behind the checks."""
        answer = super().get_route_handler()
        rule, query = rule_of(self.endpoint), QueryParameters(self.dependant)

        async def handle(request: Request) -> Response:
            query.check(request)
            return await answer(request)

        async def guarded(request: Request) -> Response:
            context = context_of(request)
            found = request.path_params
            request.scope["path_params"] = {name: piece(found[name]) for name in found}
            caller = await run_in_threadpool(_let_in, context, request, rule)
            request.state.caller = caller
            if caller.license_id is not None:
                named = _of_others(caller, await _named(request, rule))
                if named:
                    await run_in_threadpool(_see, context, caller, named)
            once = request.method == "POST" and IDEMPOTENCY_KEY in request.headers
            if once and not rule.spools:
                return await replayed(context.deps, request, handle, secret=rule.secret)
            return await handle(request)

        return guarded


def _let_in(context: ApiContext, request: Request, rule: Rule) -> Key:
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    caller = _caller(context, given.strip())
    if kind.lower() != "bearer" or caller is None:
        raise Refused(Code.UNAUTHORIZED, "a key is needed: Authorization: Bearer ...")
    context.rate.count(caller.id)
    if not rule.lets(caller):
        raise Refused(Code.FORBIDDEN, f"a key of scope {caller.scope} may not do this")
    if rule.house and caller.license_id is not None:
        raise Refused(Code.FORBIDDEN, "a key of one license may not do this")
    return caller


def _caller(context: ApiContext, given: str) -> Key | None:
    if not given.isprintable():
        return None
    deps = context.deps
    with deps.database.reading() as connection:
        caller = api_keys.use(connection, digest_of(given))
    if caller is None and is_bootstrap_key(deps.settings, given):
        keep_bootstrap_key(deps)
        with deps.database.reading() as connection:
            return api_keys.use(connection, digest_of(given))
    return caller


async def _named(request: Request, rule: Rule) -> list[tuple[str, OwnerOf]]:
    """The things that a request names, and who knows whose they are."""
    named: list[tuple[str, OwnerOf]] = [
        (license_id, license_itself)
        for license_id in request.query_params.getlist("license")
    ]
    if rule.of is not None:
        named.append((request.path_params[rule.of.name], rule.of.owner_of))
    body = await _json(request) if rule.body else None
    if isinstance(body, dict):
        found = ((body.get(whose.name), whose.owner_of) for whose in rule.body)
        named += [(name, owner_of) for name, owner_of in found if type(name) is str]
    return named


async def _json(request: Request) -> object:
    """What the body says, or nothing: that it is no JSON is said later."""
    try:
        return await request.json()
    except (ValueError, RecursionError):
        return None


def _of_others(
    caller: Key, named: list[tuple[str, OwnerOf]]
) -> list[tuple[str, OwnerOf]]:
    """The things named whose owner has yet to be asked for: a license is its own."""
    asked: list[tuple[str, OwnerOf]] = []
    for name, owner_of in named:
        if id_problem(name):
            continue
        if owner_of is not license_itself:
            asked.append((name, owner_of))
        elif name != caller.license_id:
            raise _unseen(name)
    return asked


def _unseen(name: str) -> Refused:
    return Refused(Code.NOT_FOUND, f"there is no {name}")


def _see(context: ApiContext, caller: Key, named: list[tuple[str, OwnerOf]]) -> None:
    """Refuse a bound key what is not of its license."""
    with context.deps.database.reading() as connection:
        for name, owner_of in named:
            if owner_of(connection, name) != caller.license_id:
                raise _unseen(name)
