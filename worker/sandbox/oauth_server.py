"""OAuth as the vendors speak it: consent at once, tokens that end, pairs that rotate.

Salesforce's refresh token stays good, and it does not say when an access token ends.
Those of the others are good for one use: who uses one twice has lost the grant, as with
the strictest of them.
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlencode

from aiohttp import web

from worker.infrastructure.clock import wall_s
from worker.sandbox.fault_injection import refused
from worker.sandbox.hubspot.refusals import PORTAL_ID
from worker.sandbox.vendor_behaviour import Fault, Vendor

CLIENT_ID, CLIENT_SECRET = "sandbox-app", "sandbox-secret"

_COMPANY_ID = 31_337
_ORG_ID, _USER_ID = "00D{:012}EAI", "005000000000001AAA"
_ISSUED = "granted-"
"""What the access tokens that were granted begin with; any other is a fixed key."""
_RANDOM_BYTES = 12


class _Code(NamedTuple):
    redirect_uri: str
    challenge: str | None
    account: int


@dataclass(slots=True)
class Grants:
    """What one vendor has granted, and how often it was asked to."""

    codes: dict[str, _Code] = field(default_factory=dict)
    access: dict[str, float] = field(default_factory=dict)
    """When each access token ends."""
    refresh: dict[str, int] = field(default_factory=dict)
    """Whose account each refresh token is for."""
    account: int = 0
    """The one that was granted last."""
    refreshes: int = 0
    reused: int = 0

    def accepts(self, token: str) -> bool:
        """Whether an access token is good now."""
        if not token.startswith(_ISSUED):
            return True
        return self.access.get(token, 0) > wall_s()

    def pair(self, account: int, lasts_s: float) -> tuple[str, str]:
        """A new pair of tokens for an account."""
        access = f"{_ISSUED}{secrets.token_urlsafe(_RANDOM_BYTES)}"
        refresh = secrets.token_urlsafe(_RANDOM_BYTES)
        self.access[access] = wall_s() + lasts_s
        self.refresh[refresh] = account
        self.account = account
        return access, refresh


class _Endpoints:
    """One vendor's two endpoints."""

    def __init__(self, vendor: Vendor, name: str, grants: Grants) -> None:
        self._vendor = vendor
        self._name = name
        self._grants = grants

    async def authorize(self, request: web.Request) -> web.Response:
        """Consent at once, as somebody would on the vendor's page, or refuse."""
        asked = request.query
        known = asked.get("client_id") == CLIENT_ID and "redirect_uri" in asked
        if not known or asked.get("response_type") != "code":
            return refused(400, {"error": "invalid_request"})
        back = {"state": asked.get("state", "")}
        if self._vendor.take_fault(Fault.DENIED):
            back["error"] = "access_denied"
        else:
            code = secrets.token_urlsafe(_RANDOM_BYTES)
            takes_pkce = self._name == "salesforce"
            self._grants.codes[code] = _Code(
                asked["redirect_uri"],
                asked.get("code_challenge") if takes_pkce else None,
                self._vendor.behaviour.account,
            )
            back["code"] = code
        raise web.HTTPFound(f"{asked['redirect_uri']}?{urlencode(back)}")

    async def token(self, request: web.Request) -> web.Response:
        """A pair for a code, or for a refresh token that is still good."""
        given = {name: str(value) for name, value in (await request.post()).items()}
        if not _is_app(request, given):
            return refused(401, {"error": "invalid_client"})
        if given.get("grant_type") not in {"authorization_code", "refresh_token"}:
            return refused(400, {"error": "unsupported_grant_type"})
        is_refresh = given["grant_type"] == "refresh_token"
        if is_refresh and self._vendor.take_fault(Fault.BUSY):
            words = "token request is already being processed"
            told = {"error": "invalid_grant", "error_description": words}
            return refused(400, told)
        account = self._of_refresh(given) if is_refresh else self._of_code(given)
        if account is None:
            return refused(400, self._no_grant(is_refresh=is_refresh))
        lasts_s = self._vendor.behaviour.token_s
        access, refresh = self._grants.pair(account, lasts_s)
        origin = f"{request.scheme}://{request.host}/{self._name}"
        pair = {"access_token": access, "refresh_token": refresh}
        answer = pair | self._told(account, origin, lasts_s)
        if is_refresh and self._name == "salesforce":
            del answer["refresh_token"]
        return web.json_response(answer)

    def _told(self, account: int, origin: str, lasts_s: float) -> dict[str, Any]:
        """What a vendor's answer has beside the pair."""
        match self._name:
            case "hubspot":
                portal = {"hub_id": PORTAL_ID + account, "scopes": ["oauth"]}
                return {"token_type": "bearer", "expires_in": lasts_s} | portal
            case "salesforce":
                identity = f"{_ORG_ID.format(account)}/{_USER_ID}"
                return {
                    "token_type": "Bearer",
                    "instance_url": origin,
                    "id": f"https://login.salesforce.com/id/{identity}",
                    "issued_at": str(int(wall_s() * 1_000)),
                    "signature": "c2lnbmF0dXJl",
                }
        return {"token_type": "Bearer", "expires_in": lasts_s, "api_domain": origin}

    def _no_grant(self, *, is_refresh: bool) -> dict[str, str]:
        if self._name == "hubspot" and is_refresh:
            words = "missing or invalid refresh token"
            return {
                "status": "BAD_REFRESH_TOKEN",
                "error": "invalid_grant",
                "error_description": words,
                "message": words,
            }
        return {"error": "invalid_grant"}

    def _of_code(self, given: Mapping[str, str]) -> int | None:
        code = self._grants.codes.pop(given.get("code", ""), None)
        if code is None or code.redirect_uri != given.get("redirect_uri"):
            return None
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        proof = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        return code.account if code.challenge in {None, proof} else None

    def _of_refresh(self, given: Mapping[str, str]) -> int | None:
        self._grants.refreshes += 1
        if self._vendor.take_fault(Fault.INVALID_GRANT):
            return None
        token = given.get("refresh_token", "")
        if token not in self._grants.refresh:
            self._grants.reused += 1
            return None
        if self._name == "salesforce":
            return self._grants.refresh[token]
        return self._grants.refresh.pop(token)


def routes(vendor: Vendor, name: str, grants: Grants) -> list[web.RouteDef]:
    """The consent page and the token endpoint of a vendor."""
    endpoints = _Endpoints(vendor, name, grants)
    return [
        web.get(f"/{name}/oauth/authorize", endpoints.authorize),
        web.post(f"/{name}/oauth/token", endpoints.token),
    ]


def company_id(grants: Grants) -> int:
    """The company that Pipedrive's tokens are for."""
    return _COMPANY_ID + grants.account


def _is_app(request: web.Request, given: Mapping[str, str]) -> bool:
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "basic":
        pair = base64.b64decode(encoded).decode()
        return pair == f"{CLIENT_ID}:{CLIENT_SECRET}"
    app = (given.get("client_id"), given.get("client_secret"))
    return app == (CLIENT_ID, CLIENT_SECRET)
