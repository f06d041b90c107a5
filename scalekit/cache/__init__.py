"""Cached functions: load once, share with every server, go on when the cache is gone.

    from scalekit.cache import cached

    @cached(ttl=300)
    def profile(user_id: int) -> dict: ...

    profile(42); profile.invalidate(42); profile.refresh(42); profile.many([1, 2, 3])

Its page: docs/journey/cache.md.
"""

from __future__ import annotations

from scalekit.cache.computing import (
    aget_or_compute,
    ainvalidate_key,
    get_or_compute,
    invalidate_key,
)
from scalekit.cache.decorators import cached, cached_method
from scalekit.cache.exceptions import (
    LoadTimedOut,
    TooManyLoads,
    UncacheableArgument,
    UncacheableFunction,
    UncacheableValue,
    UnwatchedModel,
)
from scalekit.cache.invalidation.tags import (
    ainvalidate_models,
    ainvalidate_tags,
    invalidate_models,
    invalidate_tags,
)
from scalekit.cache.values import MISSING
from scalekit.cache.views import cached_view

__all__ = [
    "MISSING",
    "LoadTimedOut",
    "TooManyLoads",
    "UncacheableArgument",
    "UncacheableFunction",
    "UncacheableValue",
    "UnwatchedModel",
    "aget_or_compute",
    "ainvalidate_key",
    "ainvalidate_models",
    "ainvalidate_tags",
    "cached",
    "cached_method",
    "cached_view",
    "get_or_compute",
    "invalidate_key",
    "invalidate_models",
    "invalidate_tags",
]
