"""The client of redis-py behind one of Django's caches: one for all threads, and one for each event loop.

Building a client for every call, as Django's own backend does, costs more than the call.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncGenerator

    from django.core.cache.backends.base import BaseCache


def speaks_redis(cache: BaseCache) -> bool:
    """Return whether `client_of` can make a client for `cache`, without making one."""
    cache = _lowest(cache)
    return hasattr(type(cache), "redis_client") or _client_behind(cache) is not None


def client_of(cache: BaseCache) -> Any:
    """Return a client on the connections of `cache` to its primary.

    A backend of your own takes part by a method ``redis_client()`` that returns one.
    """
    cache = _lowest(cache)
    own = getattr(type(cache), "redis_client", None)
    if own is not None:
        return own(cache)
    from redis import Redis

    behind: Any = _client_behind(cache)
    return Redis(connection_pool=behind.get_client(write=True).connection_pool)


def _lowest(cache: BaseCache) -> BaseCache:
    """Return the shared cache below a process-local tier."""
    below = cache.__dict__.get("below")
    return cache if below is None else _lowest(below)


def _client_behind(cache: BaseCache) -> Any | None:
    kinds = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(cache).__mro__}
    if "django.core.cache.backends.redis.RedisCache" in kinds:
        return cache._cache  # type: ignore[attr-defined]  # noqa: SLF001 - Django has no other name for it
    if "django_redis.cache.RedisCache" not in kinds:
        return None
    client = cache.client  # type: ignore[attr-defined]
    # Its ShardClient has an entry and its stamps on servers that it alone knows.
    return None if hasattr(client, "get_server") else client


def is_cluster(client: Any) -> bool:
    """Return whether `client` speaks to a Redis Cluster."""
    return hasattr(client, "nodes_manager")


class _Twin:
    """The client of one event loop; `ready` is its first look at a cluster, which all must await."""

    def __init__(self, of: Any) -> None:
        self.of = of  # kept, so that no other client gets its id
        self.client = _make_twin(of)
        self.closing = _closing(self.client)
        look = getattr(self.client, "initialize", None) if is_cluster(of) else None
        self.ready = asyncio.ensure_future(look()) if look is not None else None


async def client_of_loop(client: Any) -> Any:
    """Return the running event loop's twin of `client`, closed when the loop ends."""
    twins = _twins.setdefault(asyncio.get_running_loop(), {})
    twin = twins.get(id(client))
    if twin is None:
        twin = twins[id(client)] = _Twin(client)
        await anext(twin.closing)
    if twin.ready is not None:
        await _until_ready(twin, twins)
    return twin.client


async def _until_ready(twin: _Twin, twins: dict[int, _Twin]) -> None:
    try:
        await asyncio.shield(twin.ready)  # type: ignore[arg-type]  # it is one, as asked before
    except asyncio.CancelledError:
        raise
    except Exception:
        twins.pop(id(twin.of), None)  # the next call looks anew
        raise
    twin.ready = None


_twins: WeakKeyDictionary[AbstractEventLoop, dict[int, _Twin]] = WeakKeyDictionary()


async def _closing(twin: Any) -> AsyncGenerator[None, None]:
    """Close `twin` when the loop shuts down its generators, the one moment at which it tells anyone."""
    try:
        yield
    finally:
        await twin.aclose()


def _make_twin(client: Any) -> Any:
    from redis import asyncio as aio

    if is_cluster(client):
        nodes = [aio.cluster.ClusterNode(n.host, n.port) for n in client.get_nodes()]
        kwargs = _fitting(aio.RedisCluster, client.nodes_manager.connection_kwargs)
        return aio.RedisCluster(startup_nodes=nodes, **kwargs)
    pool = client.connection_pool
    if hasattr(pool, "sentinel_manager"):
        return _sentinel_twin(pool)
    kind = getattr(aio.connection, pool.connection_class.__name__)
    kwargs = _fitting(kind, pool.connection_kwargs)
    return aio.Redis(
        connection_pool=aio.ConnectionPool(
            connection_class=kind, max_connections=pool.max_connections, **kwargs
        )
    )


def _sentinel_twin(pool: Any) -> Any:
    from redis import asyncio as aio

    kind = aio.connection.SSLConnection if _uses_tls(pool) else aio.connection.Connection
    manager = pool.sentinel_manager
    sentinels = [
        (
            one.connection_pool.connection_kwargs["host"],
            one.connection_pool.connection_kwargs["port"],
        )
        for one in manager.sentinels
    ]
    sentinel_kwargs = _fitting(aio.connection.Connection, manager.sentinel_kwargs)
    sentinel: Any = aio.sentinel.Sentinel(sentinels, sentinel_kwargs=sentinel_kwargs)  # type: ignore[no-untyped-call]  # redis-py's
    kwargs = _fitting(kind, pool.connection_kwargs)
    return sentinel.master_for(pool.service_name, **kwargs)


def _uses_tls(pool: Any) -> bool:
    return "SSL" in pool.connection_class.__name__


_OTHER_IN_ASYNCIO = {
    "parser_class",
    "retry",
    "redis_connect_func",
    "connection_pool",
    "credential_provider",
}


def _fitting(kind: type[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return those of `kwargs` that the class takes and that mean the same to it."""
    taken = {
        name
        for base in kind.__mro__
        if base is not object
        for name in inspect.signature(vars(base).get("__init__", base)).parameters
    }
    return {
        name: value
        for name, value in kwargs.items()
        if name in taken and name not in _OTHER_IN_ASYNCIO and value is not None
    }
