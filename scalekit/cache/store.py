"""One of Django's caches, as a place that may be down, slow, or full of what an older release wrote."""

from __future__ import annotations

import os
import pickle
import zlib
from typing import TYPE_CHECKING, Any

from django.core.cache import CacheHandler, caches
from django.core.signals import setting_changed

from scalekit.cache.breaker import Breaker
from scalekit.cache.conf import settings
from scalekit.cache.events import CACHE_BREAKER, CACHE_FAILED, CACHE_UNREADABLE
from scalekit.cache.values import MISSING, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from django.core.cache.backends.base import BaseCache

    from scalekit.cache.local import LocalTier

_OWED = 10_000  # keys that one process remembers to delete when the cache is back

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


class Store:
    """Read, write and delete without ever raising for the cache's sake.

    A failure is announced and opens the breaker. Keys that could not be deleted or rewritten are owed:
    this process deletes them before it believes the cache again.
    """

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.breaker = Breaker(lambda: settings.BREAKER_SECONDS)
        self._owed: dict[str, object] = {}

    @property
    def is_down(self) -> bool:
        return self.breaker.is_open

    def read(self, key: str) -> Any:
        """Return the value, or `MISSING`."""
        return self.unpack(self._try("read", lambda cache: cache.get(key)))

    def fetch(self, key: str) -> Any:
        """Return what is stored, as it is stored, for `unpack`; None for nothing."""
        return self._try("read", lambda cache: cache.get(key))

    def unpack(self, stored: Any) -> Any:
        """Return the value, or `MISSING` if there is none that could be read."""
        if stored is None:
            return MISSING
        try:
            return unpack(stored).value
        except Exception as error:  # noqa: BLE001 - unpickling may raise anything
            CACHE_UNREADABLE.emit(alias=self.alias, error=repr(error))
            return MISSING

    def read_many(self, keys: Sequence[str]) -> list[Any]:
        """Return a value or `MISSING` for each key, in one round trip."""
        found = self._try("read", lambda cache: cache.get_many(keys)) or {}
        return [self.unpack(found.get(key)) for key in keys]

    def write(self, key: str, packed: bytes, ttl: int | None) -> None:
        """Store what `pack` made, for `ttl` seconds (None: without end)."""

        def write(cache: BaseCache) -> bool:
            cache.set(key, packed, ttl)
            return True

        if not self._try("write", write):
            self._owe(key)

    def delete(self, key: str) -> None:
        """Delete now, or as soon as the cache answers again."""

        def delete(cache: BaseCache) -> bool:
            cache.delete(key)
            return True

        if not self._try("delete", delete):
            self._owe(key)

    @property
    def local(self) -> LocalTier | None:
        """The process-local tier of a tiered cache."""
        return getattr(caches[self.alias], "local", None)

    def hold(self, names: Sequence[str], seconds: float, *, holder: str) -> bool:  # noqa: ARG002
        """Announce that a transaction, `holder`, may change what `names` stand for; first write, before COMMIT.

        Until it is released, for at most `seconds`, nothing that depends on a name is read from the cache
        or stored in it. Names are keys as the server sees them (`made_key`). Return False if the cache
        could not be told; never raise.
        """
        return not self.is_down

    def release(
        self,
        names: Sequence[str],
        *,
        holder: str,  # noqa: ARG002
        changed: bool,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """End what `hold` began: after COMMIT with `changed` and the portable facts, after ROLLBACK without.

        Changed: what depends on a name is void, and later loads see at least what `facts` say. Not
        changed: what was valid before is valid again. What cannot be told now is told when the cache
        is back.
        """
        if changed:
            self.invalidate(names, facts=facts)

    def invalidate(self, names: Sequence[str], *, facts: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Make void what depends on `names`, without a hold before it."""
        for name in names:
            self._try("delete", lambda cache, name=name: cache.delete(name))

    async def ahold(self, names: Sequence[str], seconds: float, *, holder: str) -> bool:
        return self.hold(names, seconds, holder=holder)

    async def arelease(
        self,
        names: Sequence[str],
        *,
        holder: str,
        changed: bool,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.release(names, holder=holder, changed=changed, facts=facts)

    async def ainvalidate(
        self, names: Sequence[str], *, facts: Mapping[str, Any] | None = None
    ) -> None:
        self.invalidate(names, facts=facts)

    def made_key(self, key: str) -> str:
        """Return the key as the server sees it: KEY_FUNCTION may give each tenant its own."""
        return str(caches[self.alias].make_key(key))

    def _try(self, operation: str, call: Callable[[BaseCache], Any]) -> Any:
        cache = caches[self.alias]  # outside: a wrong setting is the project's to see
        if not self.breaker.allows():
            return None
        try:
            if self._owed:
                self._pay()
            result = call(cache)
        except Exception as error:  # noqa: BLE001 - each client library has its own
            self._failed(operation, error)
            return None
        if self.breaker.succeeded():
            CACHE_BREAKER.emit(alias=self.alias, state="closed")
        return result

    def _failed(self, operation: str, error: Exception) -> None:
        if operation == "read" and isinstance(error, _GARBAGE):
            self.breaker.succeeded()
            CACHE_UNREADABLE.emit(alias=self.alias, error=repr(error))
            return
        CACHE_FAILED.emit(alias=self.alias, operation=operation, error=repr(error))
        if not _answered(error) and self.breaker.failed():
            CACHE_BREAKER.emit(alias=self.alias, state="open")

    def _owe(self, key: str) -> None:
        self._owed[self.made_key(key)] = object()
        while len(self._owed) > _OWED:
            self._owed.pop(next(iter(self._owed)), None)

    def _pay(self) -> None:
        owed = dict(self._owed)
        config = {**caches.settings[self.alias], "KEY_FUNCTION": _as_made}
        CacheHandler({self.alias: config})[self.alias].delete_many(list(owed))
        for key, debt in owed.items():
            if self._owed.get(key) is debt:  # else owed anew while we paid
                self._owed.pop(key, None)


def _as_made(key: str, _prefix: str, _version: int) -> str:
    """Be the KEY_FUNCTION for keys that were made by the tenant who owed them, not by the one who pays."""
    return key


def _answered(error: BaseException | None) -> bool:
    """Return whether the server refused (full, read-only), which is no reason to leave it alone."""
    while error is not None:
        if any(kind.__name__ == "ResponseError" for kind in type(error).__mro__):
            return True
        error = error.__cause__
    return False


_stores: dict[str, Store] = {}


def store_of(alias: str) -> Store:
    """Return this process's view of ``CACHES[alias]``, the same for all threads."""
    return _stores.get(alias) or _stores.setdefault(alias, Store(alias))


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "CACHES":
        _stores.clear()


os.register_at_fork(after_in_child=_stores.clear)  # a lock of the parent's threads stays locked
setting_changed.connect(_forget, dispatch_uid="scalekit.cache.store")
