"""The client of redis-py behind one of Django's caches: one for all threads, and one for each event loop.

Building a client for every call, as Django's own backend does, costs more than the call.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncGenerator

    from django.core.cache.backends.base import BaseCache

    from scalekit.cache.stampede.kept import LoopConnections


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
    client = cache.client  # type: ignore[attr-defined]  # django-redis's
    # Its ShardClient has an entry and its stamps on servers that it alone knows.
    return None if hasattr(client, "get_server") else client


def is_cluster(client: Any) -> bool:
    """Return whether `client` speaks to a Redis Cluster."""
    return hasattr(client, "nodes_manager")


class Twin:
    """The client of one event loop; `ready` is its first look at a cluster, which all must await."""

    reads: LoopConnections | None = None  # what is kept for reading

    def __init__(self, of: Any) -> None:
        self.of = of  # kept, so that no other client gets its id
        self.client = _make_twin(of)
        self.closing = _closing(self)
        look = getattr(self.client, "initialize", None) if is_cluster(of) else None
        self.ready = asyncio.ensure_future(look()) if look is not None else None


async def client_of_loop(client: Any) -> Any:
    """Return the running event loop's twin of `client`, closed when the loop ends."""
    return (await twin_of_loop(client)).client


async def twin_of_loop(client: Any) -> Twin:
    """Return what the running event loop has of `client`."""
    loop = asyncio.get_running_loop()
    twins = _twins.get(loop)
    if twins is None:
        _forget_closed()
        twins = _twins[loop] = {}
    twin = twins.get(id(client))
    if twin is None:
        twin = twins[id(client)] = Twin(client)
        await anext(twin.closing)
    if twin.ready is not None:
        await _until_ready(twin, twins)
    return twin


def twin_if_any(client: Any) -> Twin | None:
    """Return what the running event loop has of `client` already; what every read asks."""
    twins = _twins.get(asyncio.get_running_loop())
    return None if twins is None else twins.get(id(client))


def twins_of(client: Any) -> list[Any]:
    """Return the clients that all event loops have for `client`."""
    found = [twins.get(id(client)) for twins in list(_twins.values())]
    return [twin.client for twin in found if twin is not None]


async def _until_ready(twin: Twin, twins: dict[int, Twin]) -> None:
    try:
        await asyncio.shield(twin.ready)  # type: ignore[arg-type]  # it is one, as asked before
    except asyncio.CancelledError:
        raise
    except Exception:
        twins.pop(id(twin.of), None)  # the next call looks anew
        raise
    twin.ready = None


# Not by weak references: a connection refers to its loop, and would keep it.
_twins: dict[AbstractEventLoop, dict[int, Twin]] = {}


def _forget_closed() -> None:
    """Forget the loops that were closed without a word, which asyncio.run and asgiref do not do."""
    for loop in [loop for loop in list(_twins) if loop.is_closed()]:
        _twins.pop(loop, None)


async def _closing(twin: Twin) -> AsyncGenerator[None, None]:
    """Close `twin` when the loop shuts down its generators, the one moment at which it tells anyone."""
    loop, key, client = asyncio.get_running_loop(), id(twin.of), twin.client
    del twin  # which keeps this generator
    try:
        yield
    finally:
        _forget(loop, key, client)
        await _close(client)


def _forget(loop: AbstractEventLoop, key: int, client: Any) -> None:
    twins = _twins.get(loop, {})
    twin = twins.get(key)
    if twin is not None and twin.client is client:
        del twins[key]
    if not twins:
        _twins.pop(loop, None)


async def _close(client: Any) -> None:
    pool = getattr(client, "connection_pool", None)
    if pool is None:  # of a cluster
        await client.aclose()
        return
    await client.aclose(close_connection_pool=True)  # it would leave a pool that it was given
    for sentinel in getattr(getattr(pool, "sentinel_manager", None), "sentinels", ()):
        await sentinel.aclose()


def _make_twin(client: Any) -> Any:
    from redis import asyncio as aio

    if is_cluster(client):
        nodes = [aio.cluster.ClusterNode(n.host, n.port) for n in client.get_nodes()]
        kwargs = _fitting(aio.RedisCluster, client.nodes_manager.connection_kwargs)
        return aio.RedisCluster(startup_nodes=nodes, **kwargs)
    pool = client.connection_pool
    if hasattr(pool, "sentinel_manager"):
        return _sentinel_twin(pool)
    from scalekit.cache.loop_pools import BlockingConnectionPool, patience

    kind = getattr(aio.connection, pool.connection_class.__name__)
    kwargs = _fitting(kind, pool.connection_kwargs)
    return aio.Redis(
        connection_pool=BlockingConnectionPool(
            connection_class=kind,
            max_connections=pool.max_connections,
            timeout=patience(kwargs),
            **kwargs,
        )
    )


def _sentinel_twin(pool: Any) -> Any:
    from redis import asyncio as aio

    from scalekit.cache.loop_pools import SentinelPool, patience

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
    return sentinel.master_for(
        pool.service_name,
        connection_pool_class=SentinelPool,
        max_connections=pool.max_connections,
        timeout=patience(kwargs),
        ssl=_uses_tls(pool),
        **kwargs,
    )


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
