"""System checks of the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name

from scalekit.cache.conf import settings as cache_settings
from scalekit.cache.decorators import cached_functions

if TYPE_CHECKING:
    from collections.abc import Iterator

_IN_PROCESS = {
    "django.core.cache.backends.locmem.LocMemCache",
    "django.core.cache.backends.dummy.DummyCache",
}
_SLOW = 1.0  # seconds that a visitor may wait for a dead cache, at most


@register(Tags.caches)
def check_aliases(**_: Any) -> list[CheckMessage]:
    """Find cached functions whose cache does not exist."""
    return [
        Error(
            f"{function} is kept in {function.alias!r}, which CACHES does not have.",
            hint=f"Write @cached(alias=...) with one of: {', '.join(settings.CACHES)}.",
            id="scalekit.cache.E001",
        )
        for function in sorted(cached_functions, key=repr)
        if function.alias not in settings.CACHES
    ]


@register(Tags.caches)
def check_refresh_tasks(**_: Any) -> list[CheckMessage]:
    """Find workers who are to load values again, and whom TASKS does not have."""
    alias = cache_settings.REFRESH_TASKS
    known = getattr(settings, "TASKS", {"default": {}})
    if not alias or alias in known:
        return []
    return [
        Error(
            f"SCALEKIT_CACHE_REFRESH_TASKS = {alias!r}, which TASKS does not have.",
            hint=f"Write one of: {', '.join(known)}; or remove it, and threads of the process do the work.",
            id="scalekit.cache.E002",
        )
    ]


@register(Tags.caches, deploy=True)
def check_caches(**_: Any) -> list[CheckMessage]:
    """Find caches that would surprise a site with more than one server, or one whose cache is down."""
    return [
        message for alias in settings.CACHES for message in _faults(alias, settings.CACHES[alias])
    ]


def _faults(alias: str, config: dict[str, Any]) -> Iterator[CheckMessage]:
    name, options = f"CACHES[{alias!r}]", config.get("OPTIONS", {})
    if config["BACKEND"] in _IN_PROCESS:
        yield Warning(
            f"{name} lives in one process: no other process shares its values or hears invalidate().",
            hint='Use a shared cache: "BACKEND": "django_redis.cache.RedisCache".',
            id="scalekit.cache.W001",
        )
    if _asks_redis(config["BACKEND"]) and not _is_quick(options):
        yield Warning(
            f"{name} lets a visitor wait seconds for a cache that does not answer.",
            hint=f"Add to its OPTIONS: {_quick_options(config['BACKEND'])}.",
            id="scalekit.cache.W002",
        )
    if options.get("IGNORE_EXCEPTIONS"):
        yield Warning(
            f"{name} hides its failures, so that every call waits for a dead cache again.",
            hint="Remove IGNORE_EXCEPTIONS from its OPTIONS: @cached goes on without the cache by itself.",
            id="scalekit.cache.W003",
        )


def _asks_redis(backend: str) -> bool:
    return "redis" in backend.lower() or backend.endswith(".ClusterCache")


def _is_quick(options: dict[str, Any]) -> bool:
    pool = options.get("CONNECTION_POOL_KWARGS", {})
    named = {name.lower(): value for name, value in {**pool, **options}.items()}
    waits = [named.get(name) for name in ("socket_timeout", "socket_connect_timeout")]
    return all(wait is not None and 0 < wait <= _SLOW for wait in waits)


def _quick_options(backend: str) -> str:
    names = ("socket_connect_timeout", "socket_timeout")
    shouts = backend.startswith("django_redis.")
    return ", ".join(f'"{name.upper() if shouts else name}": 0.25' for name in names)
