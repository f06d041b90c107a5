"""System checks of what ends values: that every process knows which models and caches are meant."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name

from scalekit.cache.conf import settings
from scalekit.cache.invalidation.watched import covers, static_models, unwatched, watched

if TYPE_CHECKING:
    from collections.abc import Iterator


@register(Tags.caches)
def check_dependencies(**_: Any) -> list[CheckMessage]:
    """Find functions whose values some process would not end."""
    with suppress(Exception):  # a broken URLconf has a check of its own
        import_module(
            django_settings.ROOT_URLCONF
        )  # and so the views, and the functions that they call
    return [*_unlisted_models(), *_unknown_models(), *_unlisted_caches(), *_unknown_caches()]


def _unlisted_models() -> Iterator[CheckMessage]:
    for function in watched.functions():
        if function.depends_on and not settings.MODELS:
            yield Warning(
                f"{function.function} depends on models, and SCALEKIT_CACHE_MODELS names none: a command or"
                " worker that has not imported the function would change rows unseen.",
                hint=f"Write SCALEKIT_CACHE_MODELS = {_suggested(function)}.",
                id="scalekit.cache.W010",
            )
            continue
        for model in static_models(function):
            if not covers(settings.MODELS, model):
                yield Error(unwatched(function.function, model), id="scalekit.cache.E010")


def _unknown_models() -> Iterator[CheckMessage]:
    models = apps.get_models(include_auto_created=True)
    for label in settings.MODELS:
        if not any(covers([label], model) for model in models):
            yield Error(
                f"SCALEKIT_CACHE_MODELS names {label!r}, which is neither a model nor an app that has any.",
                hint='Write "app.Model", "app" (its label), or "*" for all.',
                id="scalekit.cache.E013",
            )


def _suggested(function: Any) -> str:
    labels = sorted(model._meta.label for model in static_models(function))  # noqa: SLF001 - a model's options are there
    return repr(labels) if labels else '["*"], or name the models that it returns'


def _unlisted_caches() -> Iterator[CheckMessage]:
    for function in watched.functions():
        if function.alias not in settings.ALIASES:
            yield Error(
                f"{function.function} is kept in {function.alias!r}, which SCALEKIT_CACHE_ALIASES does not name:"
                " no process that has not imported the function would end its values.",
                hint=f"Write SCALEKIT_CACHE_ALIASES = {[*settings.ALIASES, function.alias]!r}.",
                id="scalekit.cache.E011",
            )


def _unknown_caches() -> Iterator[CheckMessage]:
    for alias in settings.ALIASES:
        if alias not in django_settings.CACHES and alias != "default":
            yield Error(
                f"SCALEKIT_CACHE_ALIASES names {alias!r}, which CACHES does not have.",
                hint=f"Write some of: {', '.join(django_settings.CACHES)}.",
                id="scalekit.cache.E012",
            )
