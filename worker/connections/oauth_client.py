"""OAuth 2.0 with CRMs: consent by authorization code (RFC 6749), PKCE (RFC 7636).

What each vendor's servers are, and the two questions that are asked of them. A refresh
token may be good for one use only: whoever refreshes must keep the new pair, and
`token_refresh` sees to it.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from worker.infrastructure.clock import wall_s
from worker.infrastructure.errors import NotConfigured, OutboundError
from worker.infrastructure.outbound_http import OutboundHttp
from worker.infrastructure.settings import Settings

_OK = 200
_REFUSING = {400, 401, 403, 404}
_INVALID_GRANT = "invalid_grant"
_IN_USE = "already being processed"
"""Salesforce says `invalid_grant` also while it refreshes by the same token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grantor:
    """One vendor's OAuth, and our app there.

    `pkce` and `basic` say what its servers take: a code challenge, and the app's
    credentials as a header instead of in the body. `url_member` names what its answers
    call the address at which the API of that customer is reached, `account_member` what
    they call the account; where they name none, `account_path` is asked for it there.
    """

    authorize_url: str
    token_url: str
    client_id: str
    client_secret: str
    scopes: str = ""
    pkce: bool = False
    basic: bool = False
    url_member: str | None = None
    account_member: str
    account_path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a vendor has granted: a pair of tokens, until when, and for which account.

    `expires_at_s` is Unix time, None where the vendor does not say; `refresh_token` is
    None where the one that was used stays. `url` is None where the API is reached at
    the same address by all, `account` where nobody has asked for it.
    """

    access_token: str
    refresh_token: str | None
    expires_at_s: float | None
    url: str | None
    account: str | None


class GrantRefused(Exception):
    """A vendor takes a code or a refresh token no more (`invalid_grant`)."""


CONNECTORS = ("hubspot", "salesforce", "pipedrive")
"""Whose connections can be made by consent."""


LOGIN, SANDBOX = "login", "sandbox"
"""A setting of Salesforce's connections: a customer's sandbox has its own sign-in."""


def grantor_of(
    settings: Settings, connector: str, chosen: Mapping[str, Any]
) -> Grantor | None:
    """A connector's OAuth, where we have an app at its vendor.

    `chosen` are the connection's settings.
    """
    if connector not in CONNECTORS:
        return None
    client_id = getattr(settings, f"{connector}_client_id")
    secret = getattr(settings, f"{connector}_client_secret")
    if client_id is None or secret is None:
        return None
    server = f"{connector}_{SANDBOX}" if chosen.get(LOGIN) == SANDBOX else connector
    return Grantor(
        authorize_url=getattr(settings, f"{server}_authorize_url"),
        token_url=getattr(settings, f"{server}_token_url"),
        client_id=client_id,
        client_secret=secret.get_secret_value(),
        **_TRAITS[connector],
    )


_TRAITS: Mapping[str, dict[str, Any]] = {
    "hubspot": {
        "scopes": " ".join(
            f"crm.{what}.{right}"
            for what in ("objects.contacts", "objects.companies", "lists")
            for right in ("read", "write")
        )
        + " crm.objects.owners.read crm.schemas.contacts.read"
        " crm.schemas.contacts.write crm.schemas.companies.read"
        " crm.schemas.companies.write oauth",
        "account_member": "hub_id",
    },
    "salesforce": {
        "scopes": "api refresh_token",
        "pkce": True,
        "url_member": "instance_url",
        "account_member": "id",
    },
    "pipedrive": {
        "basic": True,
        "url_member": "api_domain",
        "account_member": "company_id",
        "account_path": "/v1/users/me",
    },
}


def challenge_of(verifier: str) -> str:
    """The code challenge of a verifier, by the method S256."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def consent_url(
    grantor: Grantor, *, state: str, redirect_uri: str, verifier: str
) -> str:
    """Where somebody is sent who is to consent."""
    asked = {
        "response_type": "code",
        "client_id": grantor.client_id,
        "redirect_uri": redirect_uri,
        "state": state,
    }
    if grantor.scopes:
        asked["scope"] = grantor.scopes
    if grantor.pkce:
        asked["code_challenge"] = challenge_of(verifier)
        asked["code_challenge_method"] = "S256"
    return f"{grantor.authorize_url}?{urlencode(asked)}"


def exchange(
    outbound: OutboundHttp,
    grantor: Grantor,
    *,
    code: str,
    redirect_uri: str,
    verifier: str,
) -> Grant:
    """The tokens for a code, and whose account they are for.

    Raises `GrantRefused`, `OutboundError`, and `NotConfigured`.
    """
    asked = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
    }
    if grantor.pkce:
        asked["code_verifier"] = verifier
    grant = _ask(outbound, grantor, asked)
    if grant.account is None and grantor.account_path is not None:
        grant = replace(grant, account=_account_there(outbound, grantor, grant))
    if grant.account is None or (grant.url is None and grantor.url_member):
        raise OutboundError("the CRM does not say whose account this is, or where")
    return grant


def refresh(outbound: OutboundHttp, grantor: Grantor, refresh_token: str) -> Grant:
    """A new pair of tokens. Raises as `exchange` does."""
    asked = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return _ask(outbound, grantor, asked)


def _ask(outbound: OutboundHttp, grantor: Grantor, asked: dict[str, str]) -> Grant:
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
    }
    if grantor.basic:
        pair = f"{grantor.client_id}:{grantor.client_secret}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    else:
        asked = asked | {
            "client_id": grantor.client_id,
            "client_secret": grantor.client_secret,
        }
    response = outbound.request(
        "POST", grantor.token_url, headers=headers, content=urlencode(asked).encode()
    )
    answer = _json(response.body)
    if response.status == _OK and answer.get("access_token"):
        return _grant(grantor, answer)
    raise _failure(response.status, answer)


def _failure(status: int, answer: Mapping[str, Any]) -> Exception:
    error = str(answer.get("error") or answer.get("status") or "")
    words = str(answer.get("error_description") or answer.get("message") or error)
    # HubSpot says so of refresh tokens in a word of its own, Pipedrive in a sentence.
    told = {error, words.partition(":")[0].lower().replace(" ", "_")}
    if not error or status not in _REFUSING or _IN_USE in words.lower():
        return OutboundError(f"the token endpoint answered with {status}")
    if told & {_INVALID_GRANT, "BAD_REFRESH_TOKEN"}:
        return GrantRefused(words[:200])
    # Our own app is refused: nothing is wrong with the customer's grant.
    return NotConfigured(f"the token endpoint refuses this app: {status} {error[:100]}")


def _grant(grantor: Grantor, answer: Mapping[str, Any]) -> Grant:
    lasts_s = answer.get("expires_in")
    given_url = answer.get(grantor.url_member) if grantor.url_member else None
    refresh_token = answer.get("refresh_token")
    account = answer.get(grantor.account_member)
    return Grant(
        access_token=str(answer["access_token"]),
        refresh_token=str(refresh_token) if refresh_token else None,
        expires_at_s=wall_s() + float(lasts_s) if lasts_s else None,
        url=_origin(str(given_url)) if given_url else None,
        account=_account(account),
    )


def _account(given: object) -> str | None:
    """An account's id; of a URL that names account and user (Salesforce) the former."""
    if not given:
        return None
    _, marked, path = str(given).partition("/id/")
    return path.partition("/")[0] if marked else str(given)


def _account_there(
    outbound: OutboundHttp, grantor: Grantor, grant: Grant
) -> str | None:
    headers = {
        "Authorization": f"Bearer {grant.access_token}",
        "Accept": "application/json",
    }
    url = f"{grant.url}{grantor.account_path}"
    about = _json(outbound.request("GET", url, headers=headers, content=b"").body)
    data = about.get("data")
    told = data.get(grantor.account_member) if isinstance(data, dict) else None
    return _account(told)


def _origin(url: str) -> str:
    """An address without the path's end slash; a bare host is reached by HTTPS."""
    return (url if urlsplit(url).scheme else f"https://{url}").rstrip("/")


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
