from __future__ import annotations

from typing import TYPE_CHECKING

from django.http.request import split_domain_port

from scalekit.db.sharding.resolvers.base import ShardResolver, text_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpRequest


class SubdomainResolver(ShardResolver):
    """The label in front of `domain`: "acme" of acme.example.com, in small letters.

    The host is Django's, so it is one of ALLOWED_HOSTS. `ignored` labels are nobody's.
    """

    visitors_choose = True

    def __init__(self, alias: str, *, domain: str, ignored: Sequence[str] = ("www",)) -> None:
        super().__init__(alias)
        self.ending = "." + text_option("domain", domain, "example.com").strip(".").lower()
        if isinstance(ignored, str):
            msg = f'ignored is {ignored!r}; write a list, as in ["www"]'
            raise ValueError(msg)  # noqa: TRY004 - a fault of the setting, as the others are
        self.ignored = frozenset(ignored)

    def resolve(self, request: HttpRequest) -> str | None:
        host = split_domain_port(request.get_host())[0]
        label = host.removesuffix(self.ending) if host.endswith(self.ending) else ""
        return None if not label or "." in label or label in self.ignored else label
