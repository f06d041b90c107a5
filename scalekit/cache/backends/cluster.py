"""`ClusterCache`: a Redis Cluster (or Valkey cluster) as one of Django's caches.

    CACHES = {
        "default": {
            "BACKEND": "scalekit.cache.backends.cluster.ClusterCache",
            "LOCATION": ["redis://cache-1:6379", "redis://cache-2:6379", "redis://cache-3:6379"],
            "OPTIONS": {"socket_timeout": 0.25, "socket_connect_timeout": 0.25},
        }
    }

Django's own RedisCache takes several servers for one primary with replicas. The servers named here are where
the client begins to look; it learns of the others, and of failovers, from them.
"""

from __future__ import annotations

import os
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis.exceptions import ConnectionError as LostConnection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class ClusterCacheClient(RedisCacheClient):
    """Django's client, with what it asks about several keys split by the server that has them."""

    _serializer: Any  # set by Django

    def __init__(self, servers: list[str], **options: Any) -> None:
        serializer = options.pop("serializer", None)
        super().__init__(servers, serializer=serializer)
        self._places, self._cluster_options = servers, options

    def get_client(self, key: Any = None, *, write: bool = False) -> Any:  # noqa: ARG002 - Django's words
        return _cluster(self._places, self._cluster_options)

    def get_many(self, keys: Iterable[Any]) -> dict[Any, Any]:
        keys = list(keys)
        found = zip(keys, self.get_client().mget_nonatomic(keys) if keys else (), strict=True)
        return {key: self._serializer.loads(value) for key, value in found if value is not None}

    def set_many(self, data: Mapping[Any, Any], timeout: Any) -> None:
        with self.get_client().pipeline() as pipeline:
            for key, value in data.items():
                if timeout == 0:
                    pipeline.delete(key)
                else:
                    pipeline.set(key, self._serializer.dumps(value), ex=timeout)
            pipeline.execute()


class ClusterCache(RedisCache):
    """Keep values on a cluster. Every key is alone: no operation needs two of them on one server."""

    splits_keys = True

    def __init__(self, server: str | list[str], params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = ClusterCacheClient

    def redis_client(self) -> Any:
        """Return the client of this process. Raises what redis-py raises if no server answers."""
        return self._cache.get_client()


_clusters: dict[str, Any] = {}
_failures: dict[str, tuple[float, Exception]] = {}  # the last of each, and when it was
_connecting = Lock()


def _cluster(servers: Sequence[str], options: Mapping[str, Any]) -> Any:
    identity = repr((list(servers), sorted(options.items(), key=repr)))
    found = _clusters.get(identity)
    if found is not None:
        return found
    asked = monotonic()
    with _connecting:
        return _clusters.get(identity) or _first_look(identity, asked, servers, options)


def _first_look(
    identity: str, asked: float, servers: Sequence[str], options: Mapping[str, Any]
) -> Any:
    """Connect, unless another thread has failed to since this one `asked`: they wait for one time-out together."""
    failed, error = _failures.get(identity, (0.0, None))
    if error is not None and failed > asked:
        raise LostConnection(f"Another thread could not connect to the cluster: {error}") from error
    try:
        found = _clusters[identity] = _connect(servers, options)
    except Exception as error:
        _failures[identity] = monotonic(), error
        raise
    _failures.pop(identity, None)
    return found


def _connect(servers: Sequence[str], options: Mapping[str, Any]) -> Any:
    from redis.backoff import NoBackoff
    from redis.cluster import ClusterNode, RedisCluster
    from redis.connection import parse_url
    from redis.retry import Retry

    node: Any = ClusterNode  # redis-py is untyped
    read: Any = parse_url
    parsed = [read(server) for server in servers]
    nodes = [node(one["host"], one.get("port", 6379)) for one in parsed]
    own = {name: value for name, value in parsed[0].items() if name not in {"host", "port", "db"}}
    once = Retry(NoBackoff(), 1)  # to ask again where a slot has moved; an outage is not waited for
    return RedisCluster(startup_nodes=nodes, **{"retry": once, **own, **options})


def _forget() -> None:
    global _connecting  # noqa: PLW0603 - a thread of the parent may have held it
    _clusters.clear()
    _failures.clear()
    _connecting = Lock()


os.register_at_fork(after_in_child=_forget)
