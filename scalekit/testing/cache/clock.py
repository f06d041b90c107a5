"""Time for cached values, moved instead of waited for."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.cache import caches

from scalekit.cache import clock
from scalekit.cache.store import store_of
from scalekit.core.exceptions import ScalekitError

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEPT_SHORT = 1  # milliseconds that a key may live on whose time has come


class CacheTimeless(ScalekitError):
    """The time of a cache cannot be moved: only that of Redis, Valkey, locmem and dummy can."""


class FakeClock:
    """Time as cached values see it; moved on by a test."""

    def move(self, seconds: float) -> None:
        """Let everything that is kept in any cache be `seconds` older. Raises `CacheTimeless`.

        Breakers and the waits of loads go by the real time.
        """
        clock.move(seconds)
        for alias in settings.CACHES:
            _age(alias, seconds)


@contextmanager
def fake_clock() -> Iterator[FakeClock]:
    """Give a clock to move; after the block it is the time that it is."""
    ahead = clock.ahead()
    try:
        yield FakeClock()
    finally:
        clock.move(ahead - clock.ahead())


def _age(alias: str, seconds: float) -> None:
    store, cache = store_of(alias), caches[alias]
    if store.local is not None:
        store.local.clear()
    client = getattr(store.server, "client", None)
    below: Any = getattr(cache, "below", cache)  # of a process-local tier
    if client is not None:
        _age_server(client, below.make_key(""), round(seconds * 1000))
    elif hasattr(below, "_expire_info"):
        info = below._expire_info  # noqa: SLF001 - locmem keeps it nowhere else
        info.update({key: end and end - seconds for key, end in info.items()})
    elif not type(below).__name__.startswith("Dummy"):
        raise CacheTimeless(
            f"CACHES[{alias!r}] is a {type(below).__name__}. {CacheTimeless.__doc__}"
        )


def _age_server(client: Any, prefix: str, milliseconds: int) -> None:
    for key in list(client.scan_iter(match=f"{prefix}*", count=500)):
        left = client.pttl(key)
        if left > 0:
            client.pexpire(key, max(_KEPT_SHORT, left - milliseconds))
