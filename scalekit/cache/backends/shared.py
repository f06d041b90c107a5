"""The Redis or Valkey below a process-local tier: its values with the seconds they have left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.cache.backends.base import default_key_func
from django.core.cache.backends.redis import RedisCache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.core.cache.backends.base import BaseCache

# Of the pool's own connections, which try again in silence, and ask for a sign of life that is no PONG here.
_NOT_OURS = {"retry", "retry_on_error", "retry_on_timeout", "health_check_interval"}
_GONE, _ENDLESS = -2, -1  # what PTTL says of a key that is not there, and of one without end


@dataclass(frozen=True, slots=True)
class Found:
    """A value, the seconds it has left (None: no end), and its size in bytes as stored."""

    value: Any
    seconds: float | None
    size: int

    def left_after(self, seconds: float) -> float | None:
        """Return what it has left so many seconds after the question was sent."""
        return None if self.seconds is None else self.seconds - seconds


class SharedRedis:
    """Reads from the primary alone: a replica may be behind the changes that the primary tells of."""

    def __init__(
        self,
        cache: BaseCache,
        client: Any,
        decode: Callable[[Any], Any],
        validate: Callable[[str], object] | None = None,
    ) -> None:
        self._cache, self._client, self._decode, self._validate = cache, client, decode, validate

    @property
    def prefix(self) -> str:
        """How all keys of the cache begin, as far as that is known."""
        is_plain = self._cache.key_func is default_key_func
        return f"{self._cache.key_prefix}:" if is_plain else ""

    def fetch(self, keys: Sequence[str]) -> dict[str, Found]:
        """Return what there is, in one round trip. Raises what the client library raises."""
        if self._validate is not None:
            for key in keys:
                self._validate(key)
        pipeline = self._client.pipeline(transaction=False)
        pipeline.mget(keys)
        for key in keys:
            pipeline.pttl(key)
        stored, *left = pipeline.execute()
        return {
            key: Found(self._decode(data), _seconds(milliseconds), len(data))
            for key, data, milliseconds in zip(keys, stored, left, strict=True)
            if data is not None
        }

    def connection(self) -> Any:
        """Return a connection that nobody else has, made as the client makes its own."""
        pool = self._client.connection_pool
        options = {
            name: value
            for name, value in pool.connection_kwargs.items()
            if not name.startswith("maint_") and name not in _NOT_OURS
        }
        options.setdefault("socket_timeout", 5)
        return pool.connection_class(**{**options, "protocol": 2})


def shared_redis(cache: BaseCache) -> SharedRedis | None:
    """Return how to read from a cache of django-redis or Django's own on one server; None for all others."""
    if isinstance(cache, RedisCache):
        # Private, as is all of it but the backend; a client of another class may read from many servers.
        inner: Any = cache._cache  # noqa: SLF001
        if type(inner).__name__ != "RedisCacheClient":
            return None
        decode = inner._serializer.loads  # noqa: SLF001
        return SharedRedis(cache, inner.get_client(write=True), decode, cache.validate_key)
    client: Any = getattr(cache, "client", None)
    reader: Any = getattr(type(client), "get", shared_redis)
    # django-redis and what is modelled on it. HerdClient stores more than values, ShardClient has many servers.
    if reader.__qualname__ != "DefaultClient.get":
        return None
    return SharedRedis(cache, client.get_client(write=True), client.decode)


def _seconds(milliseconds: int) -> float | None:
    if milliseconds == _ENDLESS:
        return None
    return 0.0 if milliseconds == _GONE else milliseconds / 1000
