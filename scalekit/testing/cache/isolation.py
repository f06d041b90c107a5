"""A cache for one test, and writes that count as committed."""

from __future__ import annotations

from secrets import token_hex

from django.conf import settings
from django.test import override_settings

from scalekit.cache.invalidation import transactions


def fresh_cache() -> override_settings:
    """Return a context manager and decorator, under which every cache is empty and everything in it is given up.

    By a KEY_PREFIX of its own, so that it may be a server that others use too.
    """
    prefix = f"test-{token_hex(6)}"
    caches = {alias: {**config, "KEY_PREFIX": prefix} for alias, config in settings.CACHES.items()}
    return override_settings(CACHES=caches)


def settle() -> None:
    """Let all that this test has written so far count as committed, for the cache alone."""
    for transaction in list(transactions._open.values()):  # noqa: SLF001 - no one else may end them early
        transaction.end(changed=True)
