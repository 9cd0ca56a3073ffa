"""What derived ids are made of: domains, addresses and profiles, normalised.

Two ways to write the same end alike; what names nobody in particular raises `NoId`.
"""

import re
from collections.abc import Callable
from functools import cache, lru_cache
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote, urlsplit

import idna
import publicsuffixlist
from publicsuffixlist import PublicSuffixList

from worker.quotes.readers.column_mapping import NoId
from worker.uploads.free_mail import DOMAINS as FREE_MAIL

_FROM = "cannot be derived: what it is derived from"
_VERSION = re.compile(r"^// VERSION: (\S+)$", re.MULTILINE)
_HOST_ENDS = re.compile(r"[/?#\\]")
_SHARED_SITES = frozenset(
    {
        *("facebook.com", "instagram.com", "linkedin.com", "linktr.ee", "medium.com"),
        *("pinterest.com", "sites.google.com", "tiktok.com", "twitter.com", "x.com"),
        *("xing.com", "yelp.com", "youtube.com"),
    }
)
"""Where many companies have a page: the site is not theirs."""
_HOSTS_HELD = 4096
"""So many are remembered: those of one company come behind each other."""

_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_PLAIN_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
"""A name that IDNA leaves as it is: most are, and that is faster told."""

_LINKEDIN = "linkedin.com"
_LINKEDIN_PERSON = re.compile(r"/(?:in|pub)/[^/]+(?:/[^/]+)*")


@cache
def installed_list() -> str:
    """The Public Suffix List that this version comes with, as text."""
    return Path(publicsuffixlist.PSLFILE).read_text("utf-8")


@cache
def installed_version() -> str:
    """The version that the list names: the day and the second it was made."""
    found = _VERSION.search(installed_list())
    return found[1] if found else publicsuffixlist.__version__


class Suffixes:
    """The public suffixes of one version of the list."""

    def __init__(self, version: str, text: str) -> None:
        self.version = version
        known = PublicSuffixList(text, accept_unknown=False)
        self._find = lru_cache(_HOSTS_HELD)(known.privatesuffix)

    def registrable(self, host: str) -> str | None:
        """The part of a host's name that somebody has registered."""
        found: str | None = self._find(host)
        return found


@cache
def installed() -> Suffixes:
    """Those of the list that this version comes with."""
    return Suffixes(installed_version(), installed_list())


@lru_cache(2)
def suffixes_of(version: str, text: str) -> Suffixes:
    """Those of another version's list: to read one takes a fifth of a second."""
    return Suffixes(version, text)


def company_domain(value: str, suffixes: Suffixes | None) -> str:
    """The domain that a company has registered, of a domain, a URL or an address.

    In lower case and in the letters of DNS. Raises `NoId` for an address of a machine,
    a public suffix and a domain of free mailboxes.
    """
    host, path = _host_and_path(value)
    domain = (suffixes or installed()).registrable(host)
    if domain is None:
        raise NoId(f"{_FROM} is a public suffix, or no domain")
    if domain in FREE_MAIL:
        raise NoId(f"{_FROM} is a domain of free mailboxes")
    if path and {host.removeprefix("www."), domain} & _SHARED_SITES:
        raise NoId(f"{_FROM} is a page on a site of others")
    return domain


def _host_and_path(value: str) -> tuple[str, str]:
    """A host in the letters of DNS, and what of a URL stands behind it."""
    rest = value.strip().lower().removeprefix("mailto:")
    rest = rest.partition("://")[2] if "://" in rest else rest.removeprefix("//")
    name = _HOST_ENDS.split(rest, maxsplit=1)[0]
    return _host(name), rest[len(name) :].strip("/?#\\")


@lru_cache(_HOSTS_HELD)
def _host(name: str) -> str:
    name = name.rpartition("@")[2].strip().lower()
    name = (name if name.startswith("[") else name.partition(":")[0]).rstrip(".")
    if _is_address(name):
        raise NoId(f"{_FROM} is the address of a machine")
    if _PLAIN_HOST.fullmatch(name) and "--" not in name:
        return name
    try:
        return idna.encode(name, uts46=True).decode()
    except (idna.IDNAError, UnicodeError) as error:
        raise NoId(f"{_FROM} is no domain") from error


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return name.startswith("[")
    return True


def email_address(value: str) -> str:
    """An e-mail address in lower case, its domain in the letters of DNS."""
    local, at, domain = value.strip().removeprefix("mailto:").rpartition("@")
    local = local.strip().lower()
    if not at or not local or re.search(r"[\s,;<>@]", local):
        raise NoId(f"{_FROM} is not one e-mail address")
    if "." not in domain:
        raise NoId(f"{_FROM} is no e-mail address")
    return f"{local}@{_host(domain)}"


def profile(value: str) -> str:
    """A profile's URL without what two links to it may differ in.

    Of LinkedIn the person's own name in it, whatever the country's host; elsewhere the
    host and all that stands behind it, for there a query may say whose profile it is.
    """
    text = value.strip()
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
    except ValueError as error:
        raise NoId(f"{_FROM} is no URL") from error
    host = _host(parts.netloc).removeprefix("www.")
    path = unquote(parts.path).rstrip("/")
    if host == _LINKEDIN or host.endswith(f".{_LINKEDIN}"):
        path = path.lower()
        if not _LINKEDIN_PERSON.fullmatch(path):
            raise NoId(f"{_FROM} is no person's profile")
        return f"{_LINKEDIN}{path}"
    if not path:
        raise NoId(f"{_FROM} names no profile")
    return f"{host}{path}{f'?{parts.query}' if parts.query else ''}"


WAYS: dict[str, dict[str, Callable[[str, Suffixes | None], str]]] = {
    "company_id": {"domain": company_domain},
    "person_id": {
        "email": lambda value, _: email_address(value),
        "profile_url": lambda value, _: profile(value),
    },
}
"""How the id of each field can be derived, by the name that a mapping gives."""
