"""Which models' writes this process announces: those that cached functions, here or elsewhere, depend on.

A function is known to the processes that have imported it. What others write, a command or a worker, must
end its values too: so a project says it once, for every process, in SCALEKIT_CACHE_MODELS.
"""
# ruff: noqa: SLF001 - Django keeps a model's options there

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import ref

from django.apps import apps
from django.core.signals import setting_changed

from scalekit.cache.conf import settings
from scalekit.cache.exceptions import UncacheableArgument, UnwatchedModel
from scalekit.cache.invalidation.models import (
    Target,
    dependency,
    label_of,
    reached,
    references,
    targets_by_table,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from django.db.models import Model

    from scalekit.cache.invalidation.base import Dependencies

EVERY = "*"
_DELETING = frozenset({"DELETE", "MERGE", "REPLACE"})


@dataclass(frozen=True, slots=True)
class _Map:
    """Whom the writes to a table concern, and which tables lose rows with it."""

    version: int
    targets: dict[str, tuple[Target, ...]]
    deleted: dict[str, set[str]]
    truncated: dict[str, set[str]]

    @classmethod
    def of(cls, models: Iterable[type[Model]], version: int) -> _Map:
        deleted, truncated = references(truncated=False), references(truncated=True)
        return cls(version, targets_by_table(models), deleted, truncated)


class Watched:
    """The models, by table, whose writes end values; built when a write first asks."""

    def __init__(self) -> None:
        # Replaced, never changed: threads iterate.
        self._functions: tuple[ref[Dependencies], ...] = ()
        self._learned: set[str] = set()
        self._known: set[type[Model]] = set()  # those that were looked up already
        self._models_matter = False
        self._version = 0
        self._map: _Map | None = None
        self.on_begin: Callable[[], None] = lambda: None

    @property
    def is_empty(self) -> bool:
        """Return whether no write ends anything here, so that no statement need be looked at."""
        return not (self._models_matter or self._learned or settings.MODELS)

    def add(self, function: Dependencies) -> None:
        """Watch what a cached function depends on; of one that has only tags, know where it is kept."""
        self._functions = (*(r for r in self._functions if r() is not None), ref(function))
        if function.depends_on:
            self._models_matter = True
            self.forget()
            self.on_begin()

    def functions(self) -> list[Dependencies]:
        found = (reference() for reference in self._functions)
        return [function for function in found if function is not None]

    def learn(self, model: type[Model], function: str) -> None:
        """Watch a model that only a call has named. Raises `UnwatchedModel` where others would not."""
        if model in self._known:
            return
        label = label_of(model)
        if settings.MODELS and not covers(settings.MODELS, model):
            raise UnwatchedModel(unwatched(function, model))
        self._known.add(model)
        if label not in self._learned:
            self._learned.add(label)
            self.forget()

    def aliases(self) -> list[str]:
        """Return the caches whose values end by names."""
        used = (function.alias for function in self.functions())
        return list(dict.fromkeys([*settings.ALIASES, *used]))

    def targets_of(self, table: str, verb: str, *, cascades: bool) -> Iterator[Target]:
        """Yield whom a write to `table` concerns, and whom what the database does of itself with it."""
        known = self._map
        if known is None or known.version != self._version:
            version = self._version  # from before: what is learned meanwhile makes it old again
            known = self._map = _Map.of(self._models(), version)
        yield from known.targets.get(table, ())
        if verb in _DELETING or cascades:
            for other in reached(table, known.truncated if cascades else known.deleted):
                for target in known.targets.get(other, ()):
                    yield Target(target.model, None)

    def unlearn(self) -> None:
        """Forget what calls have named: under another setting it may be refused."""
        self._learned.clear()
        self._known.clear()
        self.forget()

    def forget(self) -> None:
        self._version += 1

    def _models(self) -> set[type[Model]]:
        models = {
            model
            for model in apps.get_models(include_auto_created=True)
            if covers(settings.MODELS, model) or label_of(model) in self._learned
        }
        for function in self.functions():
            models |= static_models(function)
        return {model._meta.concrete_model or model for model in models}


def static_models(function: Dependencies) -> set[type[Model]]:
    """Return the models that a function names for all its calls; what is none, its first call will refuse."""
    models: set[type[Model]] = set()
    for item in () if callable(function.depends_on) else function.depends_on:
        with suppress(UncacheableArgument):
            models.add(dependency(item).model)
    return models


def unwatched(function: str, model: type[Model]) -> str:
    label = (model._meta.concrete_model or model)._meta.label
    return (
        f"{function} depends on {label}, which SCALEKIT_CACHE_MODELS does not name: a command or worker that has"
        f" not imported the function would change rows unseen. Add {label!r} to SCALEKIT_CACHE_MODELS."
    )


def covers(listed: Iterable[str], model: type[Model]) -> bool:
    """Return whether SCALEKIT_CACHE_MODELS names a model: by its label, its app's, or ``"*"``.

    The table that Django makes for a many-to-many relation must be named itself: with either model it is meant
    as a part of that already.
    """
    opts: Any = (model._meta.concrete_model or model)._meta
    names = {opts.label_lower}
    if not opts.auto_created:
        names |= {EVERY, opts.app_label.casefold()}
    return any(name.casefold() in names for name in listed)


watched = Watched()


def _forget(*, setting: str, **_: Any) -> None:
    if setting in {"INSTALLED_APPS", "SCALEKIT_CACHE_MODELS"}:
        watched.unlearn()
        watched.on_begin()


setting_changed.connect(_forget, dispatch_uid="scalekit.cache.watched")
