"""The shards that a request works on, and that it keeps to them."""

from __future__ import annotations

from asyncio import _get_running_loop  # get_running_loop raises instead, at ten times the cost
from typing import TYPE_CHECKING, Any

from django.http import Http404
from django.utils.module_loading import import_string

from scalekit.db.conf import resolvers, schemes, settings
from scalekit.db.exceptions import ShardLocked
from scalekit.db.facts import REQUEST_SHARDS, SHARDS
from scalekit.db.sharding.placing import binding_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.http import HttpRequest

    from scalekit.db.sharding.keys import ShardKey

    Bound = int | str


class RequestShards:
    """The shards a request works on: asked for by the first query that needs them, then known."""

    def __init__(
        self, select: Callable[[HttpRequest], Mapping[str, Any]], request: HttpRequest
    ) -> None:
        self._select = select
        self._request: HttpRequest | None = request
        self._bound: dict[str, Bound] | None = None

    def __call__(self) -> Mapping[str, Bound]:
        if self._bound is None and self._request is not None:
            with REQUEST_SHARDS.bind(
                None
            ):  # what the selector queries itself must not ask it again
                keys = self._select(self._request)
            self._bound = {group: binding_of(group, key) for group, key in keys.items()}
            SHARDS.set(self._bound)  # for the jobs that the request enqueues
        return self._bound or {}

    @property
    def is_known(self) -> bool:
        return self._bound is not None

    def close(self) -> None:
        """Let go of the request, which holds this by its unit of work."""
        self._request = None


def selector() -> Callable[[HttpRequest], Mapping[str, Any]] | None:
    """Return what SCALEKIT_DB_SHARD_SELECTOR names: a function of the project, or the resolvers of groups."""
    setting = settings.SHARD_SELECTOR
    if not setting:
        return None
    return import_string(setting) if isinstance(setting, str) else resolved_keys


def resolved_keys(request: HttpRequest) -> dict[str, ShardKey]:
    """Return the key of each group whose resolver finds one. Raises `Http404` for one that has no shard."""
    keys = {}
    for group in resolvers:
        key = resolvers[group].resolve(request)
        if key is None:
            continue
        if resolvers[group].visitors_choose and not _has_shard(group, key):
            raise Http404
        keys[group] = key
    return keys


def check_lock(group: str, key: ShardKey) -> None:
    """Raise `ShardLocked` if the request works on another key of the group.

    In an event loop a selector that has not been asked yet is not asked: it may have to load the user.
    """
    shards = REQUEST_SHARDS.get()
    if not isinstance(shards, RequestShards) or not settings.SHARD_LOCK:
        return
    if not shards.is_known and _get_running_loop() is not None:
        return
    chosen = shards().get(group)
    if chosen is not None and chosen != binding_of(group, key):
        raise ShardLocked(
            f"This request works on another key of {group!r} than {key!r}. If it may, write "
            f"using_shard({group!r}, {key!r}, lock=False); for all requests SCALEKIT_DB_SHARD_LOCK = False."
        )


def _has_shard(group: str, key: ShardKey) -> bool:
    return group not in settings.SHARDING or schemes[group].has_shard(key)
