"""What a connection's settings and secrets must look like, before it is made."""

import re
from collections.abc import Mapping
from typing import Any

from worker.connections import oauth_client
from worker.connections.connector_registry import BULK_ABOVE, FLAGS, OFFERS, Offer
from worker.infrastructure.errors import bad

_TEXT_MAX = 2_000


BATCH_RECORDS = "batch_records"
"""A setting of every connection: so many records at once, fewer than the most."""


_NUMBERS = {BATCH_RECORDS, BULK_ABOVE}
_NUMBER = re.compile(r"[0-9]{1,9}")


def check(
    connector: str, settings: Mapping[str, Any], secrets: Mapping[str, Any]
) -> None:
    """Raise `BadInput` where no connection can be made of these."""
    offer = check_settings(connector, settings)
    _check_names("secrets", secrets, offer.secrets, offer.secrets)
    for name, value in secrets.items():
        _check_text(f"secrets.{name}", value)


def check_settings(
    connector: str, settings: Mapping[str, Any], *, by_consent: bool = False
) -> Offer:
    """What is offered of a connector. Raises `BadInput` where it cannot be set so.

    By consent, the vendor says where the API of that customer is, and nobody else.
    """
    offer = OFFERS.get(connector)
    if offer is None:
        raise bad("connector", f"is none of {', '.join(OFFERS)}")
    known, needed = offer.settings | {BATCH_RECORDS}, offer.needed
    if by_consent:
        known, needed = known - {"url"}, needed - {"url"}
    _check_names("settings", settings, known, needed)
    for name, value in settings.items():
        _check_setting(name, value)
    if settings.get(oauth_client.LOGIN, oauth_client.SANDBOX) != oauth_client.SANDBOX:
        raise bad(
            f"settings.{oauth_client.LOGIN}",
            f"can be {oauth_client.SANDBOX}, or be left out",
        )
    return offer


def _check_setting(name: str, value: object) -> None:
    """Numbers and truths may be given as such, or as the same in a text."""
    place, text = f"settings.{name}", str(value).lower()
    if name in _NUMBERS:
        is_one = type(value) in {int, str} and _NUMBER.fullmatch(text)
        if not is_one or int(text) < 1:
            raise bad(place, "must be a whole number of at least 1")
    elif name in FLAGS:
        if type(value) not in {bool, str} or text not in {"true", "false"}:
            raise bad(place, "must be true or false")
    else:
        _check_text(place, value)


def _check_names(
    place: str,
    given: Mapping[str, Any],
    known: frozenset[str],
    needed: frozenset[str],
) -> None:
    for name in sorted(given.keys() - known):
        raise bad(f"{place}.{name}", f"is none of {', '.join(sorted(known))}")
    for name in sorted(needed - given.keys()):
        raise bad(f"{place}.{name}", "is missing")


def _check_text(place: str, value: object) -> None:
    if type(value) is not str or not value.strip() or not value.isprintable():
        raise bad(place, "must be a text without control characters")
    if len(value) > _TEXT_MAX:
        raise bad(place, f"is longer than {_TEXT_MAX} characters")
