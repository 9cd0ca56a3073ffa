"""OAuth as the vendors speak it: consent at once, tokens that end, pairs that rotate.

A refresh token is good for one use, whichever vendor: who uses one twice has lost the
grant, as with the strictest of them.
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlencode

from aiohttp import web

from worker.clock import wall_s
from worker.sandbox.answering import refused
from worker.sandbox.behaviour import Fault, Vendor

CLIENT_ID, CLIENT_SECRET = "sandbox-app", "sandbox-secret"

_ISSUED = "granted-"
"""What the access tokens that were granted begin with; any other is a fixed key."""
_RANDOM_BYTES = 12


class _Code(NamedTuple):
    redirect_uri: str
    challenge: str | None


@dataclass(slots=True)
class Grants:
    """What one vendor has granted, and how often it was asked to."""

    codes: dict[str, _Code] = field(default_factory=dict)
    access: dict[str, float] = field(default_factory=dict)
    """When each access token ends."""
    refresh: set[str] = field(default_factory=set)
    refreshes: int = 0
    reused: int = 0

    def accepts(self, token: str) -> bool:
        """Whether an access token is good now."""
        if not token.startswith(_ISSUED):
            return True
        return self.access.get(token, 0) > wall_s()

    def pair(self, lasts_s: float) -> tuple[str, str]:
        """A new pair of tokens."""
        access = f"{_ISSUED}{secrets.token_urlsafe(_RANDOM_BYTES)}"
        refresh = secrets.token_urlsafe(_RANDOM_BYTES)
        self.access[access] = wall_s() + lasts_s
        self.refresh.add(refresh)
        return access, refresh


class _Endpoints:
    """One vendor's two endpoints."""

    def __init__(self, vendor: Vendor, grants: Grants, *, takes_pkce: bool) -> None:
        self._vendor = vendor
        self._grants = grants
        self._takes_pkce = takes_pkce

    async def authorize(self, request: web.Request) -> web.Response:
        """Consent at once, as somebody would on the vendor's page, or refuse."""
        asked = request.query
        if asked.get("client_id") != CLIENT_ID or asked.get("response_type") != "code":
            return refused(400, {"error": "invalid_request"})
        back = {"state": asked.get("state", "")}
        if self._vendor.take_fault(Fault.DENIED):
            back["error"] = "access_denied"
        else:
            code = secrets.token_urlsafe(_RANDOM_BYTES)
            challenge = asked.get("code_challenge") if self._takes_pkce else None
            self._grants.codes[code] = _Code(asked["redirect_uri"], challenge)
            back["code"] = code
        raise web.HTTPFound(f"{asked['redirect_uri']}?{urlencode(back)}")

    async def token(self, request: web.Request) -> web.Response:
        """A pair for a code, or for a refresh token that was not used yet."""
        given = {name: str(value) for name, value in (await request.post()).items()}
        if not _is_app(request, given):
            return refused(401, {"error": "invalid_client"})
        taken = (
            self._is_code(given)
            if given.get("grant_type") == "authorization_code"
            else self._is_refresh(given)
        )
        if not taken:
            return refused(400, {"error": "invalid_grant"})
        lasts_s = self._vendor.behaviour.token_s
        access, refresh = self._grants.pair(lasts_s)
        origin = f"{request.scheme}://{request.host}/{request.path.split('/')[1]}"
        return web.json_response(
            {
                "access_token": access,
                "refresh_token": refresh,
                "expires_in": lasts_s,
                "token_type": "Bearer",
                "instance_url": origin,
                "api_domain": origin,
            }
        )

    def _is_code(self, given: Mapping[str, str]) -> bool:
        code = self._grants.codes.pop(given.get("code", ""), None)
        if code is None or code.redirect_uri != given.get("redirect_uri"):
            return False
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        proof = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        return code.challenge in {None, proof}

    def _is_refresh(self, given: Mapping[str, str]) -> bool:
        self._grants.refreshes += 1
        if self._vendor.take_fault(Fault.INVALID_GRANT):
            return False
        token = given.get("refresh_token", "")
        if token not in self._grants.refresh:
            self._grants.reused += 1
            return False
        self._grants.refresh.remove(token)
        return True


def routes(vendor: Vendor, name: str, grants: Grants) -> list[web.RouteDef]:
    """The consent page and the token endpoint of a vendor."""
    endpoints = _Endpoints(vendor, grants, takes_pkce=name == "salesforce")
    return [
        web.get(f"/{name}/oauth/authorize", endpoints.authorize),
        web.post(f"/{name}/oauth/token", endpoints.token),
    ]


def _is_app(request: web.Request, given: Mapping[str, str]) -> bool:
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "basic":
        pair = base64.b64decode(encoded).decode()
        return pair == f"{CLIENT_ID}:{CLIENT_SECRET}"
    app = (given.get("client_id"), given.get("client_secret"))
    return app == (CLIENT_ID, CLIENT_SECRET)
