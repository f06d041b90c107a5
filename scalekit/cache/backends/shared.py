"""The Redis or Valkey below a process-local tier: its values with the seconds they have left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.cache.backends.base import default_key_func
from django.core.cache.backends.redis import RedisCache

from scalekit.cache.clients import client_of

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
    decode = _decoder_of(cache)
    client = client_of(cache) if decode else None
    if (
        decode is None or client is None or not hasattr(client, "connection_pool")
    ):  # a cluster has many
        return None
    validate = (
        cache.validate_key if isinstance(cache, RedisCache) else None
    )  # django-redis asks nobody
    return SharedRedis(cache, client, decode, validate)


def _decoder_of(cache: BaseCache) -> Callable[[Any], Any] | None:
    """Return what makes a value of stored bytes, where every key holds one value and no more."""
    if isinstance(cache, RedisCache):
        inner: Any = cache._cache  # noqa: SLF001 - Django has no other name for it
        is_plain = type(inner).__name__ == "RedisCacheClient"
        return inner._serializer.loads if is_plain else None  # noqa: SLF001 - Django's backend has no public name for it
    client: Any = getattr(cache, "client", None)
    reader: Any = getattr(type(client), "get", shared_redis)
    # django-redis and what is modelled on it; its HerdClient stores more than the value.
    return client.decode if reader.__qualname__ == "DefaultClient.get" else None


def _seconds(milliseconds: int) -> float | None:
    if milliseconds == _ENDLESS:
        return None
    return 0.0 if milliseconds == _GONE else milliseconds / 1000
