from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scalekit.db.facts import REQUEST_SHARDS, SHARDS
from scalekit.db.sharding.placing import binding_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.http import HttpRequest


class RequestShards:
    """The shards a request works on: asked for by the first query that needs them, then known."""

    def __init__(
        self, select: Callable[[HttpRequest], Mapping[str, Any]], request: HttpRequest
    ) -> None:
        self._select = select
        self._request: HttpRequest | None = request
        self._slots: dict[str, int | str] | None = None

    def __call__(self) -> Mapping[str, int | str]:
        if self._slots is None and self._request is not None:
            with REQUEST_SHARDS.bind(
                None
            ):  # what the selector queries itself must not ask it again
                keys = self._select(self._request)
            self._slots = {group: binding_of(group, key) for group, key in keys.items()}
            SHARDS.set(self._slots)  # for the jobs that the request enqueues
        return self._slots or {}

    def close(self) -> None:
        """Let go of the request, which holds this by its unit of work."""
        self._request = None
