"""Who asks: the client's address, as far as the proxies on the way can be trusted to tell it.

    SCALEKIT_TRUSTED_PROXIES = ["10.0.0.0/24"]      # where the load balancer stands

    client_of(request).address      # "203.0.113.7", whatever the visitor wrote into X-Forwarded-For

Read from right to left: the peer, then each hop that the header names, up to the first that is not ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING

from scalekit.core.conf import Setting, Settings
from scalekit.core.forwarded import address_of, hops

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpRequest

    from scalekit.core.forwarded import Address

NAMES_THE_CLIENT = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")
FORWARDED = (*NAMES_THE_CLIENT, "HTTP_VIA")
UNIX = "unix"  # stands for a peer that has no address, being on the other end of a Unix socket
KEY = "scalekit.client"


def are_networks(values: Sequence[object]) -> bool:
    """Tell whether every value is a network such as ``10.0.0.0/8`` or ``::1``."""
    try:
        return all(isinstance(value, str) and ip_network(value, strict=False) for value in values)
    except ValueError:
        return False


class ProxySettings(Settings):
    prefix = "SCALEKIT_"

    TRUSTED_PROXIES = Setting[list[str]](
        list,
        'Networks of the proxies in front of the web servers; "unix" for one that comes by a Unix socket.',
        kind=(list, tuple),
        valid=lambda networks: are_networks([n for n in networks if n != UNIX]),
        expected='a list of networks such as ["10.0.0.0/24"], or ["unix"]',
        example=["10.0.0.0/24"],
    )
    FORWARDED_HEADER = Setting[str](
        "X-Forwarded-For",
        "The one header in which the trusted proxies name the client; all others of the kind are not believed.",
        kind=str,
        valid=bool,
        expected='the name of a header, such as "X-Forwarded-For", "Forwarded" or "CF-Connecting-IP"',
    )


settings = ProxySettings()


@dataclass(frozen=True, slots=True)
class Client:
    """Who sent a request: `address` of the client and `peer` on the other end of the connection ("" for none).

    `trusted` says that the peer is one of our proxies, whose other headers can be believed too. `sure` is
    False where proxies stand between and cannot be trusted to name all of them.
    """

    address: str
    peer: str
    trusted: bool
    sure: bool
    hops: tuple[str, ...] = ()  # from the client to the last proxy before the peer


def client_of(request: HttpRequest) -> Client:
    """Return who sent the request; with no SCALEKIT_TRUSTED_PROXIES that is always the peer."""
    kept: Client | None = request.META.get(KEY)
    return kept or _client(request.META)


def came_from(request: HttpRequest, networks: Sequence[str]) -> bool:
    """Tell whether the client stands in one of `networks` (CIDRs).

    A request that names a proxy on its way never does, unless that proxy is trusted: its peer is the
    proxy, often on 127.0.0.1, and would vouch for the whole internet.
    """
    if not networks:
        return False
    client = client_of(request)
    return client.sure and _is_in(_place(client.address), networks)


def _client(meta: dict[str, str]) -> Client:
    peer = meta.get("REMOTE_ADDR") or ""
    proxied = any(header in meta for header in FORWARDED)
    if not _is_trusted(peer, settings.TRUSTED_PROXIES):
        return Client(peer, peer, trusted=False, sure=not proxied)
    value = meta.get(header_key())
    if value is None:
        return Client(peer, peer, trusted=True, sure=not proxied)
    return _named(peer, value)


def _named(peer: str, value: str) -> Client:
    """Follow a trusted peer's header to the first hop that is not trusted."""
    trusted, found = settings.TRUSTED_PROXIES, [peer]
    for address in hops(settings.FORWARDED_HEADER, value):
        if address is None:  # the last hop that is known stands for those behind it
            return Client(found[-1], peer, trusted=True, sure=False, hops=_chain(found))
        found.append(str(address))
        if not _is_in(address, trusted):
            break
    return Client(found[-1], peer, trusted=True, sure=True, hops=_chain(found))


def _chain(found: list[str]) -> tuple[str, ...]:
    return tuple(reversed(found[1:]))


def header_key() -> str:
    """Return the key of SCALEKIT_FORWARDED_HEADER in ``request.META``."""
    return "HTTP_" + settings.FORWARDED_HEADER.upper().replace("-", "_")


def _is_trusted(peer: str, networks: Sequence[str]) -> bool:
    if not networks:
        return False
    return UNIX in networks if not peer else _is_in(_place(peer), networks)


def _place(peer: str) -> Address | None:
    """Return the address without the zone, which on a peer names a network card of ours."""
    return address_of(peer.partition("%")[0])


def _is_in(address: Address | None, networks: Sequence[str]) -> bool:
    if address is None:
        return False
    return any(address in network for network in _parsed(tuple(networks)))


@lru_cache(maxsize=32)
def _parsed(networks: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(network, strict=False) for network in networks if network != UNIX)
