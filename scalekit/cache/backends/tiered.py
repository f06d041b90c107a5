"""`TieredCache`: another cache of the project, with its hottest values in the process's own memory.

    CACHES = {
        "shared": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": ...},
        "default": {
            "BACKEND": "scalekit.cache.backends.tiered.TieredCache",
            "OPTIONS": {"over": "shared", "max_entries": 1000, "ttl": 5},
        },
    }

Its page: docs/howto/tier_the_cache.md.
"""

from __future__ import annotations

import atexit
import os
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.signals import setting_changed

from scalekit.cache.backends.layers import LayerCache, LayerOptions, alias_of, demand_number
from scalekit.cache.backends.shared import shared_redis
from scalekit.cache.listener import Listener
from scalekit.cache.local import NO_TICKET, LocalTier
from scalekit.cache.values import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from scalekit.cache.backends.shared import SharedRedis


@dataclass(frozen=True)
class TierOptions(LayerOptions):
    """`over`: the alias below. `ttl`: seconds a value may be kept. `max_bytes`: of all values, about."""

    over: str
    max_entries: int = 1000
    max_bytes: int = 16 * 1024 * 1024
    ttl: float = 5.0

    aliases = ("over",)

    def __post_init__(self) -> None:
        demand_number("max_entries", self.max_entries, "a whole number of values", int)
        demand_number("max_bytes", self.max_bytes, "a whole number of bytes", int)
        demand_number("ttl", self.ttl, "a number of seconds", int, float)


class TieredCache(LayerCache):
    """Read from the process first; write to the cache below, and let every process forget what it has."""

    options_kind = TierOptions

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        options = TierOptions.of(params)
        super().__init__(params, options.below())
        (self.below,) = self.layers
        self._shared = shared_redis(self.below)
        self._forgives = getattr(self.below, "_ignore_exceptions", False)  # django-redis's option
        self.local = _tier(repr((location, params)), params, options, self._shared)

    def __getattr__(self, name: str) -> Any:
        """Have what the cache below has beyond Django's interface, such as ``ttl()`` and ``lock()``."""
        if name == "below":  # not yet
            raise AttributeError(name)
        return getattr(self.below, name)

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        made = self.make_key(key, version)
        value = self.local.get(made)
        if value is not MISSING:
            return value
        ticket = self.local.begin()
        if ticket == NO_TICKET or self._shared is None:
            return self.below.get(key, default, version)
        found = self._fetch(self._shared, {made: key}, ticket)
        return found.get(key, default)

    def get_many(self, keys: Iterable[str], version: int | None = None) -> dict[str, Any]:
        made = {self.make_key(key, version): key for key in keys}
        values = {key: self.local.get(name) for name, key in made.items()}
        found = {key: value for key, value in values.items() if value is not MISSING}
        lacking = {name: key for name, key in made.items() if key not in found}
        if not lacking:
            return found
        ticket = self.local.begin()
        if ticket == NO_TICKET or self._shared is None:
            return found | self.below.get_many(list(lacking.values()), version)
        return found | self._fetch(self._shared, lacking, ticket)

    def has_key(self, key: str, version: int | None = None) -> bool:
        return self.make_key(key, version) in self.local or self.below.has_key(key, version)

    def add(
        self,
        key: str,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        **more: Any,
    ) -> bool:
        with self._changing([key], version):
            return self.below.add(key, value, timeout, version, **more)

    def set(
        self,
        key: str,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        **more: Any,
    ) -> Any:
        with self._changing([key], version):
            return self.below.set(key, value, timeout, version, **more)

    def touch(self, key: str, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        with self._changing([key], version):
            return self.below.touch(key, timeout, version)

    def delete(self, key: str, version: int | None = None) -> bool:
        with self._changing([key], version):
            return self.below.delete(key, version)

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        with self._changing([key], version):
            return self.below.incr(key, delta, version)

    def set_many(
        self,
        data: Mapping[str, Any],
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> list[str]:
        with self._changing(data, version):
            return self.below.set_many(dict(data), timeout, version)

    def delete_many(self, keys: Iterable[str], version: int | None = None) -> Any:
        keys = list(keys)
        with self._changing(keys, version):
            return self.below.delete_many(keys, version)

    def incr_version(self, key: str, delta: int = 1, version: int | None = None) -> int:
        before = self.version if version is None else version
        with self._changing([key], before), self._changing([key], before + delta):
            return self.below.incr_version(key, delta, version)

    def clear(self) -> None:
        try:
            self.below.clear()
        finally:
            for tier in _tiers():
                tier.clear()

    async def aget(self, key: str, default: Any = None, version: int | None = None) -> Any:
        value = self.local.get(self.make_key(key, version))  # without the hop to a thread
        return await super().aget(key, default, version) if value is MISSING else value

    async def ahas_key(self, key: str, version: int | None = None) -> bool:
        return self.make_key(key, version) in self.local or await super().ahas_key(key, version)

    def _fetch(self, shared: SharedRedis, made: dict[str, str], ticket: int) -> dict[str, Any]:
        """Return the values of `made` (key as stored -> key as asked), and keep them here."""
        began = monotonic()
        try:
            found = shared.fetch(list(made))
        except Exception:
            if self._forgives:
                return {}
            raise
        for name, one in found.items():
            left = one.left_after(monotonic() - began)
            self.local.put(name, one.value, (name,), ticket, left, one.size)
        return {made[name]: one.value for name, one in found.items()}

    @contextmanager
    def _changing(self, keys: Iterable[str], version: int | None) -> Iterator[None]:
        names = [self.make_key(key, version) for key in keys]
        try:
            yield
        finally:  # after an error, too: the server may have done it
            for tier in _tiers():  # of every alias: two may stand over one server
                tier.drop(names)


_listeners: dict[str, Listener] = {}
_deaf: dict[str, LocalTier] = {}


def _tier(
    identity: str, params: Mapping[str, Any], options: TierOptions, shared: SharedRedis | None
) -> LocalTier:
    """Return the tier of this process for an entry of CACHES; each thread has a backend, all have one tier."""
    if shared is None:  # nobody would tell of changes: it stays off, and a system check says so
        return _deaf.setdefault(identity, LocalTier())
    listener = _listeners.get(identity)
    if listener is None:
        tier = LocalTier(
            max_entries=options.max_entries, max_bytes=options.max_bytes, ttl=options.ttl
        )
        listener = Listener(alias_of(params, options.over), tier, shared.connection, shared.prefix)
        listener = _listeners.setdefault(identity, listener)
    return listener.tier


def _tiers() -> list[LocalTier]:
    return [listener.tier for listener in list(_listeners.values())]


def _forget_after_fork() -> None:
    for listener in list(_listeners.values()):
        listener.forget_after_fork()


def stop_listening() -> None:
    """End the listeners of this process and forget what their tiers keep."""
    while _listeners:
        _, listener = _listeners.popitem()
        listener.stop()


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "CACHES":
        stop_listening()
        _deaf.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
atexit.register(stop_listening)
setting_changed.connect(_forget, dispatch_uid="scalekit.cache.backends.tiered")
