"""Make a request say what the trusted proxies know of it, and nothing that only the visitor claims."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings as django_settings

from scalekit.core.networks import KEY, NAMES_THE_CLIENT, client_of, header_key, settings
from scalekit.health.events import HEADERS_REFUSED

if TYPE_CHECKING:
    from django.http import HttpRequest

    from scalekit.core.networks import Client

REQUEST_ID = "HTTP_X_REQUEST_ID"
OF_A_PROXY = (
    *NAMES_THE_CLIENT,
    REQUEST_ID,
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PREFIX",
)


def believe_proxies(request: HttpRequest) -> None:
    """Put the client's address into REMOTE_ADDR; drop what a peer that is no proxy of ours says of others.

    Nothing happens without SCALEKIT_TRUSTED_PROXIES: then nobody is known to be a proxy.
    """
    if not settings.TRUSTED_PROXIES or KEY in request.META:
        return
    client = client_of(request)
    refused = [name for name in _unbelievable(client) if request.META.pop(name, None) is not None]
    if refused and not client.trusted:
        HEADERS_REFUSED.emit(peer=client.peer, headers=refused)
    request.META.update({KEY: client, "REMOTE_ADDR": client.address})
    if client.hops:
        request.META[header_key()] = _named_again(client)
    request.__dict__.pop("headers", None)  # Django caches them when they are first read


def _unbelievable(client: Client) -> tuple[str, ...]:
    """Return the headers not to be believed; of a trusted peer, those in which the visitor may still speak."""
    if client.trusted:
        return (*NAMES_THE_CLIENT, header_key())
    tls = django_settings.SECURE_PROXY_SSL_HEADER
    return (*OF_A_PROXY, header_key(), *([tls[0]] if tls else ()))


def _named_again(client: Client) -> str:
    """Return the header's value without the hops that nobody vouches for."""
    if settings.FORWARDED_HEADER.lower() != "forwarded":
        return ", ".join(client.hops)
    return ", ".join(f'for="[{hop}]"' if ":" in hop else f"for={hop}" for hop in client.hops)
