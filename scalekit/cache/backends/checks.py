"""System checks of caches that stand over other caches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.cache import caches
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name

from scalekit.cache.backends.exceptions import CacheMisconfigured
from scalekit.cache.backends.failover import FailoverOptions
from scalekit.cache.backends.layers import chain, layer_of, missing
from scalekit.cache.backends.shared import shared_redis
from scalekit.cache.backends.tiered import TierOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

_IN_PROCESS = (".LocMemCache", ".DummyCache")
_HINT = "See docs/howto/tier_the_cache.md for an entry that works."


@register(Tags.caches)
def check_layers(**_: Any) -> list[CheckMessage]:
    """Find caches over other caches that cannot work as they are written, or that would surprise."""
    return [message for alias in settings.CACHES for message in _faults(alias)]


def _faults(alias: str) -> Iterator[CheckMessage]:
    config, name = _entry(alias), f"CACHES[{alias!r}]"
    backend = layer_of(config)
    if backend is None:
        return
    try:
        options = backend.options_kind.of(config)
        below = [one for name in options.below() for one in chain(name, (alias,))]
    except CacheMisconfigured as error:
        yield Error(f"{name}: {error}", hint=_HINT, id="scalekit.cache.E020")
        return
    unknown = [one for one in below if one not in settings.CACHES]
    if unknown:
        yield Error(f"{name}: {missing(unknown[0])}", hint=_HINT, id="scalekit.cache.E021")
    elif isinstance(options, TierOptions):
        yield from _tier_faults(name, options)
    elif isinstance(options, FailoverOptions):
        yield from _failover_faults(alias, options)


def _tier_faults(name: str, options: TierOptions) -> Iterator[CheckMessage]:
    if shared_redis(caches[options.over]) is None:
        yield Error(
            f"{name} stands over {options.over!r}, which tells nobody what changes: nothing is kept in the"
            " process.",
            hint='Stand over one Redis or Valkey: "BACKEND": "django_redis.cache.RedisCache" with its'
            " default client.",
            id="scalekit.cache.E022",
        )


def _failover_faults(alias: str, options: FailoverOptions) -> Iterator[CheckMessage]:
    name = f"CACHES[{alias!r}]"
    if _place(options.first) == _place(options.gutter):
        yield Error(
            f"{name}: {options.first!r} and its gutter {options.gutter!r} are one server, which is down"
            " when it is down.",
            hint="Give the gutter a LOCATION of its own.",
            id="scalekit.cache.E023",
        )
    for pool in (options.first, options.gutter):
        if _entry(pool).get("BACKEND", "").endswith(_IN_PROCESS):
            yield Warning(
                f"{name} stands over {pool!r}, which lives in one process: no other process shares its"
                " values or hears of a deletion.",
                hint="Stand over caches that all processes share.",
                id="scalekit.cache.W020",
            )
    if _entry(options.first).get("OPTIONS", {}).get("IGNORE_EXCEPTIONS"):
        yield Warning(
            f"{name} never sees {options.first!r} fail, as that hides its failures.",
            hint=f"Remove IGNORE_EXCEPTIONS from the OPTIONS of CACHES[{options.first!r}].",
            id="scalekit.cache.W021",
        )
    if _keeps_sessions(alias):
        yield Warning(
            f"{name} keeps the sessions: in an outage each would end after {options.gutter_ttl} seconds.",
            hint='Keep them where the database is the truth: SESSION_ENGINE = "scalekit.sessions.hybrid".',
            id="scalekit.cache.W022",
        )


def _entry(alias: str) -> dict[str, Any]:
    return dict(settings.CACHES[alias])


def _place(alias: str) -> tuple[Any, Any]:
    config = _entry(alias)
    return config.get("LOCATION", ""), config.get("BACKEND")


def _keeps_sessions(alias: str) -> bool:
    is_cache = settings.SESSION_ENGINE == "django.contrib.sessions.backends.cache"
    return is_cache and alias == settings.SESSION_CACHE_ALIAS
