"""What one process knows of a cache that may be down: whether to ask it, and what to tell it when it is back.

A cache that was frozen or cut off comes back with the values of before. Whatever was changed meanwhile is
*owed* to it: deleted from it before it is believed again. A thread of its own tries once a second, so that
the other processes, which may have noticed nothing, need not wait for a call of this one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING

from django.core.cache.backends.db import BaseDatabaseCache
from django.db.utils import Error as DatabaseError

from scalekit.cache.conf import settings
from scalekit.cache.events import CACHE_FAILOVER
from scalekit.core.breaker import Breaker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from django.core.cache.backends.base import BaseCache

MOST_OWED = 100_000  # keys, some 10 MB; beyond, the oldest are forgotten
REPAY_SECONDS = 1.0  # between two tries to repay
_TOGETHER = 1000  # keys deleted in one round trip
_PROBE = "scalekit:alive"

# Whose exceptions say that a server failed; all others come from the value, or from the code that made it.
_CLIENTS = (
    *("redis", "valkey", "django_redis", "django_valkey"),
    *("pymemcache", "pylibmc"),
)
# What a client library finds wrong with the call or the value, without asking the server.
_FAULTS = frozenset(
    {"DataError", "LockError", "CompressorError", "MemcacheClientError"}
    | {"BadKeyProvided", "InvalidArguments", "TooBig", "NotFound"}
)


def is_outage(error: BaseException, cache: BaseCache) -> bool:
    """Return whether the server of `cache` did not do its work, rather than find fault with what it was asked."""
    kinds = type(error).__mro__
    names = {kind.__name__ for kind in kinds}
    if "ResponseError" in names:  # READONLY, OOM, MISCONF ... : it serves nobody as it should
        return not str(error).startswith(("WRONGTYPE", "ERR ", "value is not", "hash value is not"))
    if _FAULTS & names:
        return False
    if isinstance(error, DatabaseError):  # of any other cache: a value that asked a database
        return isinstance(cache, BaseDatabaseCache)
    return isinstance(error, OSError) or any(_is_of_client(kind) for kind in kinds)


def _is_of_client(kind: type) -> bool:
    return kind.__module__.lstrip("_").startswith(_CLIENTS)  # _pylibmc is the compiled part


class Outage:
    """The state of one cache in this process; `repayer` returns one like it that takes keys as stored."""

    def __init__(self, alias: str, repayer: Callable[[], BaseCache]) -> None:
        self.alias, self._repayer = alias, repayer
        self.breaker = Breaker(lambda: settings.BREAKER_SECONDS)
        self._lock, self._repaying = Lock(), Lock()
        self._owed: OrderedDict[str, object] = OrderedDict()
        self._owes_clear = False
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    @property
    def owes(self) -> bool:
        return self._owes_clear or bool(self._owed)

    def is_over(self) -> bool:
        """Return whether the cache may be asked; whoever gets True reports `succeeded` or `failed`."""
        if not self.breaker.allows():
            return False
        return not self.owes or self._repays()

    def succeeded(self) -> None:
        if self.breaker.is_open and self.breaker.succeeded():
            CACHE_FAILOVER.emit(alias=self.alias, pool="first")

    def failed(self, error: Exception) -> None:
        if self.breaker.failed():
            CACHE_FAILOVER.emit(alias=self.alias, pool="gutter", error=repr(error))

    def owe(self, keys: Iterable[str], *, clear: bool = False) -> None:
        """Remember keys, as they are stored, that changed while the cache could not be told."""
        with self._lock:
            self._owes_clear = self._owes_clear or clear
            for key in keys:
                self._owed.pop(key, None)
                self._owed[key] = object()
            while len(self._owed) > MOST_OWED:
                self._owed.popitem(last=False)
            if self._thread is None and self.owes:
                self._start()

    def repay(self) -> None:
        """Tell the cache what it missed. Raises what its client library raises."""
        with self._lock:
            owed, owes_clear = dict(self._owed), self._owes_clear
        cache = self._repayer()
        # A server that was frozen finds our old writes in its sockets. It reads them together with this
        # one, so once it has answered, none of them can follow the deletes. A write, as a server that is
        # full or read-only answers all else.
        cache.set(_PROBE, 1, 1)
        if owes_clear:
            cache.clear()
        keys = list(owed)
        for start in range(0, len(keys), _TOGETHER):
            cache.delete_many(keys[start : start + _TOGETHER])
        cache.close()
        with self._lock:
            self._owes_clear = self._owes_clear and not owes_clear
            for key, debt in owed.items():
                if self._owed.get(key) is debt:  # else it changed once more
                    del self._owed[key]

    def _start(self) -> None:
        thread = threading.Thread(
            target=self._keep_trying, name=f"scalekit-repay-{self.alias}", daemon=True
        )
        with suppress(RuntimeError):  # the process ends; until then its calls repay
            thread.start()
            self._thread = thread

    def _repays(self) -> bool:
        if not self._repaying.acquire(blocking=False):
            return False  # another thread is about to; until it has, the cache is not believed
        try:
            self.repay()
        except Exception as error:  # noqa: BLE001 - each client library has its own
            self.failed(error)
            return False
        finally:
            self._repaying.release()
        return True

    def stop(self) -> None:
        """Give up what is owed."""
        self._stopping.set()

    def _keep_trying(self) -> None:
        while not self._stopping.wait(REPAY_SECONDS):
            with self._repaying:
                try:
                    self.repay()
                except Exception:  # noqa: BLE001, S112 - it is down still
                    continue
            self.succeeded()
            with self._lock:
                if not self.owes:
                    self._thread = None
                    return
