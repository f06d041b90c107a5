"""Cache keys: what a call is called in the cache. Free of Django.

Every part is written as ``<type><length>:<text>``, so that no value can imitate its neighbours or another
type: ``f("1")``, ``f(1)`` and ``f(True)`` are three keys, ``f("a", "b")`` and ``f("a,b")`` two. The same
call gives the same key in every process, Python version and hash seed (golden vectors in the tests).
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag
from hashlib import blake2b
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any
from uuid import UUID

from scalekit.cache.exceptions import UncacheableArgument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Database = Callable[[str], str]

_POSITIONAL = {Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD}
_READABLE = 120  # characters of the function's name in the key; memcached allows 250 in all
_DIGEST = 20  # bytes: arguments may come from visitors, who must not find two that meet


class KeyMaker:
    """Turn the calls of one function into keys.

    `name` and `version` tell it from other functions. `chosen` replaces the arguments by what it returns
    for them. `database` maps the alias that a model instance was read from to the one it is written to,
    so that instances read from two replicas have one key.
    """

    def __init__(
        self,
        name: str,
        version: int,
        signature: Signature,
        chosen: Callable[..., object] | None = None,
        database: Database = str,
    ) -> None:
        self.name, self.version = name, version
        self.signature, self.chosen, self.database = signature, chosen, database
        readable = re.sub(r"[^\w.]", "_", name, flags=re.ASCII)[:_READABLE]
        self._prefix = f"scalekit:{readable}:{version}:"
        self._identity = encode((name, version))
        parameters = signature.parameters.values()
        plain = all(parameter.kind in _POSITIONAL for parameter in parameters)
        self._most = len(parameters) if plain else -1  # -1: no call is a plain one
        defaults = [p.default for p in parameters if p.default is not Parameter.empty]
        self._least, self._defaults = self._most - len(defaults), tuple(defaults)

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """Return the key of a call. Raises `UncacheableArgument`, and TypeError for a wrong call."""
        if self.chosen is not None:
            parts = self._encode("the result of key=", self.chosen(*args, **kwargs))
        else:
            arguments = self.bind(args, kwargs)
            names = self.signature.parameters
            parts = "".join(map(self._encode, names, arguments))
        digest = blake2b(
            (self._identity + parts).encode("utf-8", "surrogatepass"), digest_size=_DIGEST
        )
        return self._prefix + digest.hexdigest()

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterable[Any]:
        """Return one value a parameter, however the call was written."""
        if not kwargs and self._least <= len(args) <= self._most:  # 3 times as fast as what follows
            return args + self._defaults[len(args) - self._least :]
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments.values()

    def _encode(self, parameter: str, value: Any) -> str:
        try:
            return encode(value, self.database)
        except UncacheableArgument as error:
            names = ", ".join(self.signature.parameters)
            msg = (
                f"{self.name}: {parameter} cannot be part of a cache key: {error} Pass something simpler,"
                f" or say what the value depends on: @cached(key=lambda {names}: ...)."
            )
            raise UncacheableArgument(msg) from None


def encode(value: Any, database: Database = str) -> str:
    """Return `value` as typed, length-prefixed text. Raises `UncacheableArgument`."""
    kind = type(value)
    scalar = _SCALARS.get(kind)
    if scalar is not None:
        tag, write = scalar
        return _framed(tag, write(value))
    if kind in _SEQUENCES:
        return _framed(_SEQUENCES[kind], "".join([encode(item, database) for item in value]))
    if kind in _SETS:
        return _framed(_SETS[kind], "".join(sorted(encode(item, database) for item in value)))
    if kind is dict:
        pairs = (encode(key, database) + encode(item, database) for key, item in value.items())
        return _framed("m", "".join(sorted(pairs)))
    return _encode_named(value, database)


def path_of(kind: type) -> str:
    """Return the dotted path of a class, by which it may stand in a key."""
    return f"{kind.__module__}.{kind.__qualname__}"


def _encode_named(value: Any, database: Database) -> str:
    if isinstance(value, type):
        msg = f"it is the class {value.__name__} (in a class, write @cached above @classmethod)."
        raise UncacheableArgument(msg)
    if isinstance(value, Enum):
        member = value.value if isinstance(value, Flag) else value.name  # flags may be nameless
        return _framed("e", encode(path_of(type(value))) + encode(member))
    if hasattr(value, "_meta") and hasattr(value, "_state"):
        return _encode_instance(value, database)
    if hasattr(value, "query") and hasattr(value, "model"):
        raise UncacheableArgument("it is a queryset, whose rows may change under the same key.")
    raise UncacheableArgument(f"it is of type {path_of(type(value))}.")


def _encode_instance(instance: Any, database: Database) -> str:
    if instance.pk is None or instance._state.adding:  # noqa: SLF001 - how Django itself names it
        msg = f"it is an unsaved {type(instance).__name__}, which has no identity yet."
        raise UncacheableArgument(msg)
    alias = instance._state.db  # noqa: SLF001 - Django keeps it there
    home = None if alias is None else database(alias)
    return _framed("o", encode((instance._meta.label_lower, instance.pk, home)))  # noqa: SLF001


def _framed(tag: str, text: str) -> str:
    return f"{tag}{len(text)}:{text}"


def _seconds(value: timedelta) -> str:
    return f"{value.days},{value.seconds},{value.microseconds}"


_SCALARS: dict[type, tuple[str, Callable[[Any], str]]] = {
    type(None): ("n", lambda _: ""),
    bool: ("b", lambda value: "1" if value else "0"),
    int: ("i", lambda value: format(value, "x")),  # str() refuses more than 4300 digits
    float: ("f", repr),
    str: ("s", str),
    bytes: ("y", bytes.hex),
    Decimal: ("d", str),
    UUID: ("u", str),
    date: ("D", date.isoformat),
    datetime: ("T", datetime.isoformat),
    time: ("t", time.isoformat),
    timedelta: ("p", _seconds),
}
_SEQUENCES: dict[type, str] = {tuple: "(", list: "["}
_SETS: dict[type, str] = {set: "{", frozenset: "<"}
