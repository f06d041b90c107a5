from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import Resolver404, resolve

from scalekit.db.sharding.resolvers.base import ShardResolver, text_option

if TYPE_CHECKING:
    from django.http import HttpRequest

    from scalekit.db.sharding.keys import ShardKey


class PathResolver(ShardResolver):
    """A keyword of the URL pattern: 7 where ``path("people/<int:owner_id>/", ...)`` serves /people/7/."""

    visitors_choose = True

    def __init__(self, alias: str, *, keyword: str) -> None:
        super().__init__(alias)
        self.keyword = text_option("keyword", keyword, "owner_id")

    def resolve(self, request: HttpRequest) -> ShardKey | None:
        match: Any = request.resolver_match or self._match(request)
        return None if match is None else match.kwargs.get(self.keyword)

    def _match(self, request: HttpRequest) -> Any:
        """Return what Django will find, for a query that comes before it has looked, as from a middleware."""
        try:
            return resolve(request.path_info, getattr(request, "urlconf", None))
        except Resolver404:
            return None
