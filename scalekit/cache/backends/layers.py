"""Caches that stand over other caches of the same project: their OPTIONS, their keys, the aliases they name."""

from __future__ import annotations

from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.core.cache import CacheHandler, caches
from django.core.cache.backends.base import BaseCache
from django.utils.module_loading import import_string

from scalekit.cache.backends.exceptions import CacheMisconfigured

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_DJANGO_S = {"MAX_ENTRIES", "CULL_FREQUENCY"}  # read by BaseCache, of no meaning here


@dataclass(frozen=True)
class LayerOptions:
    """The OPTIONS of a cache over others; a subclass has one field for each."""

    aliases: ClassVar[tuple[str, ...]] = ()  # the fields that name a cache below

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Self:
        """Read them from an entry of CACHES. Raises `CacheMisconfigured`."""
        options = {k: v for k, v in params.get("OPTIONS", {}).items() if k not in _DJANGO_S}
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                close = get_close_matches(name, known, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}."
                raise CacheMisconfigured(f"There is no option {name!r}: {hint}")
        for alias in cls.aliases:
            if not isinstance(options.get(alias), str):
                raise CacheMisconfigured(
                    f'The option {alias!r} is missing: write "{alias}": and an alias of CACHES.'
                )
        return cls(**options)

    def below(self) -> list[str]:
        """Return the aliases of the caches it stands over."""
        return [getattr(self, name) for name in self.aliases]


class LayerCache(BaseCache):
    """A cache whose keys and lifetimes are those of the `layers` below, as far as its own entry is silent."""

    options_kind: ClassVar[type[LayerOptions]]
    layers: tuple[BaseCache, ...] = ()

    def __init__(self, params: dict[str, Any], aliases: Iterable[str]) -> None:
        super().__init__(params)
        self.layers = tuple(cache_below(alias, params) for alias in aliases)
        for name in ("default_timeout", "key_prefix", "version"):
            setattr(self, name, getattr(self.layers[0], name))

    @property
    def key_func(self) -> Any:
        return self.layers[0].key_func

    @key_func.setter
    def key_func(self, function: Any) -> None:
        for (
            layer
        ) in self.layers:  # none yet: it is BaseCache's own setting, which `cache_below` heeds
            layer.key_func = function

    def make_key(self, key: str, version: int | None = None) -> str:
        return self.layers[0].make_key(key, version=version)

    def close(self, **kwargs: Any) -> None:
        for layer in self.layers:
            layer.close(**kwargs)


def demand_number(name: str, value: Any, expected: str, *kinds: type) -> None:
    """Raise `CacheMisconfigured` unless `value` is a number above 0 of one of the `kinds`."""
    if type(value) not in kinds or value <= 0:
        raise CacheMisconfigured(f"The option {name!r} is {value!r}: write {expected}, above 0.")


def cache_below(alias: str, params: Mapping[str, Any]) -> BaseCache:
    """Return a cache like ``caches[alias]`` with the TIMEOUT, VERSION and key settings of the one above.

    What the one above leaves out is as below, so that both find the same values under the same keys.
    Raises `CacheMisconfigured`.
    """
    for name in chain(alias):
        if name not in caches.settings:
            raise CacheMisconfigured(missing(name))
    own = {name: value for name, value in params.items() if name != "OPTIONS"}
    config = {**caches.settings[alias], **own}
    return CacheHandler({alias: config}).create_connection(alias)


def missing(alias: str) -> str:
    """Say that CACHES has no such entry."""
    known = ", ".join(map(repr, caches.settings))
    return f"It stands over {alias!r}, which CACHES does not have: write one of {known}."


def chain(alias: str, above: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield `alias` and all that it stands over. Raises `CacheMisconfigured` where one stands over itself."""
    if alias in above:
        path = " over ".join((*above[above.index(alias) :], alias))
        raise CacheMisconfigured(f"A cache cannot stand over itself: {path}.")
    yield alias
    for below in _named(caches.settings.get(alias, {})):
        yield from chain(below, (*above, alias))


def layer_of(config: Mapping[str, Any]) -> type[LayerCache] | None:
    """Return the backend of an entry of CACHES if it stands over others, else None."""
    try:
        backend = import_string(config.get("BACKEND", ""))
    except ImportError:  # Django says so itself
        return None
    return backend if isinstance(backend, type) and issubclass(backend, LayerCache) else None


def _named(config: Mapping[str, Any]) -> Iterable[str]:
    backend, options = layer_of(config), config.get("OPTIONS") or {}
    names = [options.get(name) for name in backend.options_kind.aliases] if backend else []
    return [name for name in names if isinstance(name, str)]


def alias_of(params: Mapping[str, Any], otherwise: str) -> str:
    """Return the alias under which CACHES has these `params`, to be named by."""
    options = params.get("OPTIONS")
    for alias, config in caches.settings.items():
        if config.get("OPTIONS") is options:
            return str(alias)
    return otherwise
