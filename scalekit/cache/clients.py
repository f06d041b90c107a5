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


def client_of(cache: BaseCache) -> Any | None:
    """Return a client on the connections of `cache` to its primary, or None if it is no Redis or Valkey.

    A backend of your own takes part by a method ``redis_client()`` that returns one.
    """
    own = getattr(type(cache), "redis_client", None)
    if own is not None:
        return own(cache)
    below = cache.__dict__.get("below")  # of a process-local tier
    if below is not None:
        return client_of(below)
    pool = _pool_of(cache)
    if pool is None:
        return None
    from redis import Redis

    return Redis(connection_pool=pool)


def _pool_of(cache: BaseCache) -> Any | None:
    kinds = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(cache).__mro__}
    if "django.core.cache.backends.redis.RedisCache" in kinds:
        client = cache._cache  # type: ignore[attr-defined]  # noqa: SLF001 - Django has no other name for it
    elif "django_redis.cache.RedisCache" in kinds:
        client = cache.client  # type: ignore[attr-defined]
    else:
        return None
    if hasattr(
        client, "get_server"
    ):  # its ShardClient: the keys of an entry and its stamps are anywhere
        return None
    return client.get_client(write=True).connection_pool


def is_cluster(client: Any) -> bool:
    """Return whether `client` speaks to a Redis Cluster."""
    return hasattr(client, "nodes_manager")


async def client_of_loop(client: Any) -> Any:
    """Return the running event loop's twin of `client`, closed when the loop ends."""
    twins = _twins.setdefault(asyncio.get_running_loop(), {})
    twin = twins.get(id(client))
    return twin[0] if twin else await _open(client, twins)


Twins = dict[int, tuple[Any, "AsyncGenerator[None, None]", Any]]
_twins: WeakKeyDictionary[AbstractEventLoop, Twins] = WeakKeyDictionary()


async def _open(client: Any, twins: Twins) -> Any:
    twin = _make_twin(client)
    closing = _closing(twin)
    twins[id(client)] = twin, closing, client  # the client, so that no other gets its id
    await anext(closing)
    return twin


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
