"""Refuse what other processes would not know of.

A decorated function is known to every process that imports it. What a template or a query depends on, only the
process knows that has rendered or run it: another one, which writes the rows, must learn it from the settings.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from scalekit.cache.conf import settings
from scalekit.cache.exceptions import UncacheableFunction, UnwatchedModel
from scalekit.cache.invalidation.models import dependency
from scalekit.cache.invalidation.watched import covers, unwatched

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import Model


def require_announced(name: str, alias: str, depends_on: Iterable[Any]) -> None:
    """Raise `UnwatchedModel` for a model, `UncacheableFunction` for an alias, that the settings do not name."""
    if alias not in settings.ALIASES:
        msg = (
            f"{name} is kept in {alias!r}, which SCALEKIT_CACHE_ALIASES does not name: another process would change"
            f" rows and end tags without ending it there. Add {alias!r} to SCALEKIT_CACHE_ALIASES."
        )
        raise UncacheableFunction(msg)
    models = frozenset(dependency(item).model for item in depends_on)
    missing = _missing(models, tuple(settings.MODELS))
    if missing is not None:
        raise UnwatchedModel(unwatched(name, missing))


@lru_cache(maxsize=1024)
def _missing(models: frozenset[type[Model]], listed: tuple[str, ...]) -> type[Model] | None:
    return next((model for model in models if not covers(listed, model)), None)
