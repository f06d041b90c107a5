"""`FailoverCache`: a cache with a gutter, a second one that stands in for a while when the first is down.

    CACHES = {
        "shared": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://cache-1:6379/0", ...},
        "spare": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://cache-2:6379/0", ...},
        "default": {
            "BACKEND": "scalekit.cache.backends.failover.FailoverCache",
            "OPTIONS": {"first": "shared", "gutter": "spare", "gutter_ttl": 10},
        },
    }

The word is Facebook's (Nishtala et al., Scaling Memcache at Facebook, NSDI 2013, section 3.3): a few idle
servers, whose values live so briefly that nobody has to invalidate them. Its page: docs/howto/tier_the_cache.md.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.signals import setting_changed

from scalekit.cache.backends.exceptions import CachesDown
from scalekit.cache.backends.layers import (
    LayerCache,
    LayerOptions,
    alias_of,
    cache_below,
    demand_number,
)
from scalekit.cache.backends.outages import Outage, is_outage
from scalekit.cache.conf import settings
from scalekit.core.breaker import Breaker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from django.core.cache.backends.base import BaseCache

T = TypeVar("T")


@dataclass(frozen=True)
class FailoverOptions(LayerOptions):
    """`first`, `gutter`: aliases below. `gutter_ttl`: the most seconds a value lives in the gutter."""

    first: str
    gutter: str
    gutter_ttl: int = 10

    aliases = ("first", "gutter")

    def __post_init__(self) -> None:
        demand_number("gutter_ttl", self.gutter_ttl, "a whole number of seconds", int)


class FailoverCache(LayerCache):
    """Ask the first cache; while it is down, the gutter, whose values end within `gutter_ttl` seconds.

    Raises `CachesDown` when neither answers.
    """

    options_kind = FailoverOptions

    def __init__(self, _location: str, params: dict[str, Any]) -> None:
        options = FailoverOptions.of(params)
        super().__init__(params, options.below())
        self.first, self.gutter = self.layers
        self._ttl = options.gutter_ttl
        self._pools = _pools_of(options, params)

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        return self._read(lambda cache: cache.get(key, default, version))

    def get_many(self, keys: Iterable[str], version: int | None = None) -> dict[str, Any]:
        keys = list(keys)
        return self._read(lambda cache: cache.get_many(keys, version))

    def has_key(self, key: str, version: int | None = None) -> bool:
        return self._read(lambda cache: cache.has_key(key, version))

    def add(
        self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        return self._change(
            [key], version, lambda cache, short: cache.add(key, value, short(timeout), version)
        )

    def set(
        self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> Any:
        return self._change(
            [key], version, lambda cache, short: cache.set(key, value, short(timeout), version)
        )

    def touch(self, key: str, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return self._change(
            [key], version, lambda cache, short: cache.touch(key, short(timeout), version)
        )

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        return self._change([key], version, lambda cache, _: cache.incr(key, delta, version))

    def set_many(
        self,
        data: Mapping[str, Any],
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> list[str]:
        data = dict(data)
        failed = self._change(
            data, version, lambda cache, short: cache.set_many(data, short(timeout), version)
        )
        return failed or []  # django-redis returns None

    def delete(self, key: str, version: int | None = None) -> bool:
        return self._change(
            [key], version, lambda cache, _: cache.delete(key, version), always_both=True
        )

    def delete_many(self, keys: Iterable[str], version: int | None = None) -> Any:
        keys = list(keys)
        return self._change(
            keys, version, lambda cache, _: cache.delete_many(keys, version), always_both=True
        )

    def clear(self) -> None:
        first = self._of_first(lambda cache: cache.clear())
        if first is _DOWN:
            self._pools.first.owe([], clear=True)
            self._of_gutter(lambda cache: cache.clear())
        else:
            with suppress(CachesDown):
                self._of_gutter(lambda cache: cache.clear())

    def _read(self, call: Callable[[BaseCache], T]) -> T:
        answer = self._of_first(call)
        return self._of_gutter(call) if isinstance(answer, _Down) else answer

    def _change(
        self,
        keys: Iterable[str],
        version: int | None,
        call: Callable[[BaseCache, Callable[[Any], Any]], T],
        *,
        always_both: bool = False,
    ) -> T:
        """Change the first cache, and have the gutter forget; or else change the gutter, and owe it to the first."""
        answer = self._of_first(lambda cache: call(cache, _as_it_is))
        if isinstance(answer, _Down):
            self._pools.first.owe([self.make_key(key, version) for key in keys])
            self._pools.gutter_until = monotonic() + self._ttl
            return self._of_gutter(lambda cache: call(cache, self._short))
        if always_both or self._pools.gutter_until > monotonic():
            with suppress(CachesDown):  # its values end soon by themselves
                self._of_gutter(lambda cache: cache.delete_many(list(keys), version))
        return answer

    def _of_first(self, call: Callable[[BaseCache], T]) -> T | _Down:
        outage = self._pools.first
        if not outage.is_over():
            return _DOWN
        try:
            answer = call(self.first)
        except Exception as error:
            if is_outage(error, self.first):
                outage.failed(error)
                return _DOWN
            raise  # no word on the server, which may not have been asked: a probe is due again later
        outage.succeeded()
        return answer

    def _of_gutter(self, call: Callable[[BaseCache], T]) -> T:
        breaker, names = self._pools.gutter, self._pools.names
        if not breaker.allows():
            raise CachesDown(f"{names} are down, and were asked a moment ago.")
        try:
            answer = call(self.gutter)
        except Exception as error:
            if is_outage(error, self.gutter):
                breaker.failed()
                raise CachesDown(f"{names} are down: {error}") from error
            raise
        breaker.succeeded()
        return answer

    def _short(self, timeout: Any) -> Any:
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        return self._ttl if timeout is None else min(timeout, self._ttl)


class _Down:
    """The type of `_DOWN`: the first cache gave no answer."""


_DOWN = _Down()


class _Pools:
    """What all threads of a process share: the outages of both caches, and until when the gutter holds ours."""

    def __init__(self, alias: str, options: FailoverOptions) -> None:
        self.names = f"{options.first!r} and its gutter {options.gutter!r}"
        self._alias, self._options = alias, options
        self.reset()

    def reset(self) -> None:
        """Begin anew, as in a child process: what the parent owes the parent pays, and has the threads for."""
        first = self._options.first
        self.first = Outage(self._alias, lambda: cache_below(first, {"KEY_FUNCTION": _as_stored}))
        self.gutter = Breaker(lambda: settings.BREAKER_SECONDS)
        self.gutter_until = 0.0


_pools: dict[FailoverOptions, _Pools] = {}


def _pools_of(options: FailoverOptions, params: Mapping[str, Any]) -> _Pools:
    found = _pools.get(options)
    return found or _pools.setdefault(options, _Pools(alias_of(params, options.first), options))


def _as_it_is(timeout: Any) -> Any:
    return timeout


def _as_stored(key: str, _prefix: str, _version: int) -> str:
    """Be the KEY_FUNCTION for keys that were made already, perhaps by another tenant than is current now."""
    return key


def _reset_all() -> None:
    for pools in _pools.values():
        pools.reset()


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "CACHES":
        for pools in list(_pools.values()):
            pools.first.stop()
        _pools.clear()


os.register_at_fork(after_in_child=_reset_all)
setting_changed.connect(_forget, dispatch_uid="scalekit.cache.backends.failover")
