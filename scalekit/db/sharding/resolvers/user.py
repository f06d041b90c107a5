from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scalekit.db.sharding.resolvers.base import ShardResolver, text_option

if TYPE_CHECKING:
    from django.http import HttpRequest

    from scalekit.db.sharding.keys import ShardKey


class UserResolver(ShardResolver):
    """The signed-in user's id, or another of their attributes, as in ``{"attribute": "account_id"}``."""

    def __init__(self, alias: str, *, attribute: str = "pk") -> None:
        super().__init__(alias)
        self.attribute = text_option("attribute", attribute, "account_id")

    def resolve(self, request: HttpRequest) -> ShardKey | None:
        user: Any = getattr(request, "user", None)
        if user is None or not user.is_authenticated:
            return None
        return getattr(user, self.attribute)  # type: ignore[no-any-return]  # whatever the project's user has
