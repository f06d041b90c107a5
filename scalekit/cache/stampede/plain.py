"""Entries on any other cache of Django: no leases, so that only one process alone loads once.

What was stored is never older than its tags say; but an entry that is invalidated by another process while
it is being loaded here may be stored afterwards, and two processes may load one key.
"""

from __future__ import annotations

import pickle
import zlib
from typing import TYPE_CHECKING, TypeVar

from django.core.cache import CacheHandler, caches

from scalekit.cache.events import CACHE_UNREADABLE
from scalekit.cache.stampede.base import Request, Server

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from django.core.cache.backends.base import BaseCache

A = TypeVar("A")

_LONG = 366 * 24 * 3600  # seconds

# What Django's backends raise for bytes that are no pickle of theirs. All else is the cache failing.
_GARBAGE = (
    pickle.PickleError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    TypeError,
    ValueError,
    zlib.error,
)


class PlainCache:
    """The part of Django's interface that requests need, by keys that are made already."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        config = {**caches.settings[alias], "KEY_FUNCTION": _as_made}
        self._handler = CacheHandler({alias: config})

    @property
    def _cache(self) -> BaseCache:
        return self._handler[self.alias]

    def get(self, key: str) -> bytes | None:
        """Return what is stored; something that nobody could read is b"", which is no value of ours."""
        try:
            stored = self._cache.get(key)
        except _GARBAGE as error:
            CACHE_UNREADABLE.emit(alias=self.alias, error=repr(error))
            return b""
        return stored if stored is None or isinstance(stored, bytes) else b""

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        if len(keys) == 1:
            return [self.get(keys[0])]
        try:
            found = self._cache.get_many(keys)
        except _GARBAGE:  # of one of them
            return [self.get(key) for key in keys]
        stored = [found.get(key) for key in keys]
        return [one if one is None or isinstance(one, bytes) else b"" for one in stored]

    def set(self, values: Mapping[str, bytes], ms: int) -> None:
        """Store all of `values` for so long, 0 for no end; whole seconds are what all caches know."""
        self._cache.set_many(dict(values), _seconds(ms))

    def add(self, key: str, value: bytes, ms: int) -> bool:
        return bool(self._cache.add(key, value, _seconds(ms)))

    def keep(self, keys: Iterable[str]) -> None:
        """Let what is stored live for as long as anything may that depends on it: nobody tells how long it has."""
        for key in keys:
            self._cache.touch(key, _LONG)

    def delete(self, keys: Sequence[str]) -> None:
        self._cache.delete_many(keys)


class PlainServer(Server):
    """Asks through Django's own interface."""

    def __init__(self, alias: str) -> None:
        self.cache = PlainCache(alias)

    def fetch(self, keys: Sequence[str]) -> list[bytes | None]:
        return self.cache.get_many(keys)

    def run(self, request: Request[A]) -> A:
        return request.plainly(self.cache)


def _seconds(ms: int) -> int | None:
    return -(-ms // 1000) or None


def _as_made(key: str, _prefix: str, _version: int) -> str:
    """Be the KEY_FUNCTION for keys that were made by the tenant who asked, not by the one who pays its debts."""
    return key
