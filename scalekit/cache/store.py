"""``CACHES[alias]`` for all threads and event loops of this process."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from django.core.cache import caches
from django.core.cache.backends.base import default_key_func
from django.core.signals import setting_changed

from scalekit.cache.clients import client_of, speaks_redis
from scalekit.cache.conf import settings
from scalekit.cache.events import CACHE_FAILED, CACHE_UNREADABLE
from scalekit.cache.exceptions import Unreadable
from scalekit.cache.flights import loop_flights, thread_flights
from scalekit.cache.guarding import Failed, Guarded
from scalekit.cache.serializers import serializer_of
from scalekit.cache.stampede.plain import PlainServer
from scalekit.cache.stampede.requests import Batch
from scalekit.cache.stampede.states import written
from scalekit.cache.stampede.writing import Hold, Release, Replicated
from scalekit.cache.values import unpack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalekit.cache.local import LocalTier
    from scalekit.cache.stampede.base import Request, Server
    from scalekit.cache.values import Entry

_REPLICATION_MS = (
    100  # how long a write waits for the replicas of the cache, if it is to wait at all
)


class Store(Guarded):
    """Entries, and what transactions tell about the names that end them.

    A *name* is a key as the server sees it (`made_key`): an entry's own, or that of a tag's stamp.
    """

    def __init__(self, alias: str) -> None:
        cache = caches[alias]  # a wrong setting is the project's to see
        super().__init__(alias, _server_of(alias), f"{cache.key_prefix}:scalekit:epoch")
        self.local: LocalTier | None = getattr(cache, "local", None)
        self.serializer = serializer_of(alias)
        self.is_plainly_keyed = cache.key_func is default_key_func
        self._prefix = f"{cache.key_prefix}:{cache.version}:"

    def made_key(self, key: str) -> str:
        """Return the key as the server sees it: KEY_FUNCTION may give each tenant its own."""
        if self.is_plainly_keyed:
            return self._prefix + key
        return str(caches[self.alias].make_key(key))

    def unpack(self, key: str, stored: bytes | None) -> Entry | None:
        """Return the entry that is stored under `key`, or None if it is none that could be read."""
        if stored is None:
            return None
        try:
            return unpack(stored, serializer=self.serializer, key=key)
        except Unreadable as error:
            CACHE_UNREADABLE.emit(alias=self.alias, error=repr(error))
            return None

    def hold(self, names: Sequence[str], seconds: float, *, holder: str) -> bool:
        """Announce that a transaction, `holder`, may change what `names` stand for: before its COMMIT.

        Until it is released, for at most `seconds`, nothing that depends on a name is read from the cache
        or stored in it. Return False if the cache could not be told.
        """
        self.forget(names)
        hold = Hold(tuple(names), holder, round(seconds * 1000))
        return self._is_held(names, self.run("hold", self._replicated(hold)))

    def release(
        self,
        names: Sequence[str],
        *,
        holder: str,
        changed: bool,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """End what `hold` began: after COMMIT with `changed` and the portable facts, after ROLLBACK without.

        Changed: what depends on a name is void, and later loads see at least what `facts` say. Not
        changed: what was valid before is valid again. A change that cannot be told now is told when the
        cache is back.
        """
        self.forget(names)
        release = Release(tuple(names), holder, changed, written(facts))
        self._released(release, self.run("invalidate", self._replicated(release)))

    def invalidate(self, names: Sequence[str], *, facts: Mapping[str, Any] | None = None) -> None:
        """Make void what depends on `names`, without a hold before it."""
        self.release(names, holder="", changed=True, facts=facts)

    def forget(self, names: Sequence[str]) -> None:
        """Let no load that runs in this process store what it finds; no later call waits for one."""
        for name in names:
            thread_flights.forget((self.alias, name))
            loop_flights.forget((self.alias, name))

    def _drop(self, names: Sequence[str]) -> None:
        """Drop what this process keeps; afterwards, so that what was read meanwhile is not kept either."""
        if self.local is not None:
            self.local.drop(names)

    def _replicated(self, request: Request[Any]) -> Request[Any]:
        if settings.REPLICAS and self.server.can_wait:
            return Batch((request, Replicated(settings.REPLICAS, _REPLICATION_MS)))
        return request

    def _outcome(self, answer: Any) -> Any:
        """Return the answer to what `_replicated` was given."""
        if not isinstance(answer, list):
            return answer
        outcome, replicas = answer
        if replicas < settings.REPLICAS:
            error = f"{replicas} replicas have it, SCALEKIT_CACHE_REPLICAS = {settings.REPLICAS}"
            CACHE_FAILED.emit(alias=self.alias, operation="replicate", error=error)
        return outcome

    def _is_held(self, names: Sequence[str], answer: Any) -> bool:
        self._drop(names)
        return self._outcome(answer) is True

    def _released(self, release: Release, answer: Any) -> None:
        self._drop(release.names)
        told = not isinstance(answer, Failed)
        self._outcome(answer)
        if release.changed:
            remember = self.debts.tell if told else self.owe
            remember(release.names, release.facts)


def _server_of(alias: str) -> Server:
    cache = caches[alias]
    if not speaks_redis(cache):
        return PlainServer(alias)
    from scalekit.cache.stampede.valkey import ValkeyServer

    return ValkeyServer(partial(client_of, cache), is_cluster=getattr(cache, "splits_keys", False))


_stores: dict[str, Store] = {}


def store_of(alias: str) -> Store:
    """Return this process's view of ``CACHES[alias]``, the same for all threads."""
    return _stores.get(alias) or _stores.setdefault(alias, Store(alias))


def _forget(*, setting: str, **_: Any) -> None:
    if setting in {"CACHES", "SCALEKIT_CACHE_SERIALIZER"}:
        for store in _stores.values():
            store.forgive()
            store.server.close()
        _stores.clear()


os.register_at_fork(after_in_child=_stores.clear)  # a lock of the parent's threads stays locked
setting_changed.connect(_forget, dispatch_uid="scalekit.cache.store")
