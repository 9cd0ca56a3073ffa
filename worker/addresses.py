"""Which addresses on the network are public: whatever is not sure to be is not. Pure.

An IPv6 address may carry an IPv4 address inside that a gateway would go to: then both
must be public.
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

_TRANSLATED = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
"""Translated to the IPv4 address in their last 32 bits (NAT64)."""

_COMPATIBLE = IPv6Network("::/96")
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
    # What carries an IPv4 address inside is judged by that one too.
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return None
    if address.is_private:
        return "private"
    if address.is_reserved or not address.is_global:
        return "reserved"
    return None


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
    if address in _COMPATIBLE or any(address in network for network in _TRANSLATED):
        yield IPv4Address(int(address) & _LAST_32_BITS)
