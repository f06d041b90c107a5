from __future__ import annotations

from typing import TYPE_CHECKING

from scalekit.core.networks import client_of
from scalekit.db.sharding.resolvers.base import ShardResolver, text_option

if TYPE_CHECKING:
    from django.http import HttpRequest


class HeaderResolver(ShardResolver):
    """A header that a proxy sets after it has authenticated the client, as in ``{"header": "X-Account"}``.

    Anybody can send a header, so it is believed only if it comes from SCALEKIT_TRUSTED_PROXIES, and the proxy
    has to remove what clients send under that name.
    """

    def __init__(self, alias: str, *, header: str) -> None:
        super().__init__(alias)
        self.header = text_option("header", header, "X-Account")

    def resolve(self, request: HttpRequest) -> str | None:
        value = request.headers.get(self.header)
        return value if value and client_of(request).trusted else None
