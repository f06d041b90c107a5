"""Whether a request comes straight from one of some networks."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpRequest

FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")


def came_from(request: HttpRequest, networks: Sequence[str]) -> bool:
    """Tell whether the peer itself stands in one of `networks` (CIDRs).

    A request that names a proxy on its way never does: its peer is that proxy, often on 127.0.0.1, and
    would vouch for the whole internet.
    """
    if not networks or any(header in request.META for header in FORWARDED):
        return False
    try:
        address = ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:  # a Unix socket has no address
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in _parsed(tuple(networks)))


def are_networks(values: Sequence[object]) -> bool:
    """Tell whether every value is a network such as ``10.0.0.0/8`` or ``::1``."""
    try:
        return all(isinstance(value, str) and ip_network(value, strict=False) for value in values)
    except ValueError:
        return False


@lru_cache(maxsize=32)
def _parsed(networks: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(network, strict=False) for network in networks)
