"""Which addresses on the network are public: whatever is not sure to be is not. Pure.

An IPv6 address may carry an IPv4 address inside that a gateway would go to: then both
must be public. Where releases of Python tell an address apart differently, it is told
here, so that all of them answer the same.
"""

from collections.abc import Iterator
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

Address = IPv4Address | IPv6Address

_SHARED = IPv4Network("100.64.0.0/10")
"""Behind a provider's own address translation (CGNAT)."""

_SPECIAL = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("2001::/23"),
    IPv6Network("3fff::/20"),
)
"""Protocol assignments, the relays of 6to4, and addresses for documentation."""

_TRANSLATED = IPv6Network("64:ff9b::/96")
"""Translated to the IPv4 address in their last 32 bits (NAT64)."""

_SIX_TO_FOUR = IPv6Network("2002::/16")
"""Routed to the IPv4 address in them (6to4)."""

_LAST_32_BITS = 0xFFFF_FFFF


def not_public_because(address: str) -> str | None:
    """What an address is instead of public; None where it is public."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return "not an address"
    kinds = (_kind(one) for one in (found, *_inside(found)))
    return next((kind for kind in kinds if kind is not None), None)


def _kind(address: Address) -> str | None:
    if address.is_unspecified:
        return "unspecified"
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    if address.is_multicast:
        return "multicast"
    if isinstance(address, IPv4Address) and address in _SHARED:
        return "shared by a provider's customers"
    if isinstance(address, IPv6Address) and address.is_site_local:
        return "private"
    # Nothing but a coat for an IPv4 address, which is judged by itself.
    if isinstance(address, IPv6Address) and _is_coat(address):
        return None
    if address.is_private:
        return "private"
    if any(address in network for network in _SPECIAL):
        return "reserved"
    return None if address.is_global and not address.is_reserved else "reserved"


def _is_coat(address: IPv6Address) -> bool:
    is_routed = address in _TRANSLATED or address in _SIX_TO_FOUR
    return is_routed or address.ipv4_mapped is not None


def _inside(address: Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that an IPv6 address may be taken for."""
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped:
        yield address.ipv4_mapped
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    if address in _TRANSLATED:
        yield IPv4Address(int(address) & _LAST_32_BITS)
