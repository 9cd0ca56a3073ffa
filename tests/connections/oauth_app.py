"""Consent in tests: the house's app at the sandbox, and somebody who consents there."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.support.sandboxes import Sandbox
from worker.connections import oauth_consent
from worker.connections.oauth_consent import Completed, Wish
from worker.sandbox.oauth_server import CLIENT_ID, CLIENT_SECRET
from worker.wiring import Wired

BASE = "http://holdfast.example"


def app_at(sandbox: Sandbox, vendor: str) -> dict[str, Any]:
    """The settings of the house's app at a vendor."""
    return {
        f"{vendor}_client_id": CLIENT_ID,
        f"{vendor}_client_secret": CLIENT_SECRET,
        f"{vendor}_authorize_url": f"{sandbox.url}/{vendor}/oauth/authorize",
        f"{vendor}_token_url": f"{sandbox.url}/{vendor}/oauth/token",
        "hubspot_api_url": f"{sandbox.url}/hubspot",
    }


def wish_for(vendor: str = "hubspot", **changed: Any) -> Wish:
    """A connection that is wished for."""
    return Wish("acme", vendor, "Ours", {})._replace(**changed)


def consent(deps: Wired, wish: Wish) -> dict[str, str]:
    """What the vendor sends somebody back with who consents."""
    asked = oauth_consent.ask(deps, wish, base_url=BASE)
    back = httpx.get(asked.url).headers["Location"]
    assert back.startswith(f"{BASE}/v1/authorizations/callback?")
    return {name: value for name, (value,) in parse_qs(urlsplit(back).query).items()}


def complete(deps: Wired, back: dict[str, str]) -> Completed:
    """Come back."""
    return oauth_consent.complete(
        deps, back["state"], code=back.get("code"), error=back.get("error")
    )
