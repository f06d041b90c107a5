"""Cache keys: what a call is called in the cache. Free of Django.

Every part is written as ``<type><length>:<text>``, so that no value can imitate its neighbours or another
type: ``f("1")``, ``f(1)`` and ``f(True)`` are three keys, ``f("a", "b")`` and ``f("a,b")`` two. The same
call gives the same key in every process, Python version and hash seed (golden vectors in the tests).
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag
from hashlib import blake2b
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any
from uuid import UUID

from scalekit.cache.exceptions import UncacheableArgument

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    Database = Callable[[str], str]
    Writer = Callable[[Any, Database], str]

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
        self._prefix = f"{prefix_of(name)}{version}:"
        self._identity = blake2b(encode((name, version)).encode(), digest_size=_DIGEST)
        self._binder = _binder(signature)

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """Return the key of a call. Raises `UncacheableArgument`, and TypeError for a wrong call."""
        parts = self.bind(args, kwargs) if self.chosen is None else (self.chosen(*args, **kwargs),)
        database = self.database
        try:
            text = "".join([_WRITERS.get(type(p), _write_named)(p, database) for p in parts])
        except UncacheableArgument:
            self._refuse(parts)
            raise
        except RecursionError:
            raise UncacheableArgument(f"{self.name}: an argument is nested too deeply.") from None
        digest = self._identity.copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        return self._prefix + digest.hexdigest()

    def local(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
        """Return what a call is called inside this process: cheaper than `key`, and equal when `key` is.

        A tenant's KEY_FUNCTION has no say in it.
        """
        if self.chosen is None:
            parts = self.bind(args, kwargs)
            kinds = tuple(map(type, parts))
            if _PLAIN.issuperset(kinds):
                return self, parts, kinds
        return self.key(args, kwargs)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """Return one value a parameter, however the call was written. Raises TypeError."""
        try:
            return self._binder(*args, **kwargs)
        except TypeError:
            self.signature.bind(*args, **kwargs)  # says the same in words the caller knows
            raise

    def _refuse(self, parts: tuple[Any, ...]) -> None:
        """Raise `UncacheableArgument` for the first part that cannot be written."""
        names = list(self.signature.parameters) if self.chosen is None else ["the result of key="]
        for name, part in zip(names, parts, strict=True):
            try:
                encode(part, self.database)
            except UncacheableArgument as error:
                msg = (
                    f"{self.name}: {name} cannot be part of a cache key: {error} Pass something simpler, or"
                    f" say what the value depends on: key=lambda {', '.join(self.signature.parameters)}: ..."
                )
                raise UncacheableArgument(msg) from None


def encode(value: Any, database: Database = str) -> str:
    """Return `value` as typed, length-prefixed text. Raises `UncacheableArgument`."""
    return _WRITERS.get(type(value), _write_named)(value, database)


def prefix_of(name: str) -> str:
    """Return how all keys of the function of this name begin."""
    readable = re.sub(r"[^\w.]", "_", name, flags=re.ASCII)[:_READABLE]
    return f"scalekit:{readable}:"


def path_of(kind: type) -> str:
    """Return the dotted path of a class, by which it may stand in a key."""
    return f"{kind.__module__}.{kind.__qualname__}"


class _Default:
    """The default of a parameter, as the binder's source names it."""

    def __init__(self, position: int) -> None:
        self._position = position

    def __repr__(self) -> str:
        return f"defaults[{self._position}]"


def _binder(signature: Signature) -> Callable[..., tuple[Any, ...]]:
    """Compile a function of this signature that returns its arguments: 40 times as fast as Signature.bind."""
    parameters = list(signature.parameters.values())
    bare = [
        parameter.replace(
            annotation=Parameter.empty,
            default=parameter.empty if parameter.default is parameter.empty else _Default(position),
        )
        for position, parameter in enumerate(parameters)
    ]
    names = "".join(f"{parameter.name}, " for parameter in parameters)
    source = f"lambda {str(Signature(bare))[1:-1]}: ({names})"
    defaults = [parameter.default for parameter in parameters]
    binder: Callable[..., tuple[Any, ...]] = eval(source, {"defaults": defaults})  # noqa: S307 - identifiers
    return binder


def _framed(tag: str, text: str) -> str:
    return f"{tag}{len(text)}:{text}"


def _write_int(value: int, _: Database) -> str:
    text = f"{value:x}"  # str() refuses more than 4300 digits
    return f"i{len(text)}:{text}"


def _write_str(value: str, _: Database) -> str:
    return f"s{len(value)}:{value}"  # these two frame their text themselves: most arguments are one of them


def _write_moment(tag: str) -> Writer:
    def write(value: datetime | time, _: Database) -> str:
        fold = "!" if value.fold else ""
        return _framed(tag, value.isoformat() + fold + _zone(value.tzinfo))

    return write


def _zone(zone: object) -> str:
    """Return the name of a time zone, which differs from others beyond the offset of one moment."""
    if zone is None or type(zone) is timezone:
        return ""
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)  # zoneinfo's, and pytz's
    if name is None:
        raise UncacheableArgument("its time zone has no name.")
    return f"[{name}]"


def _write_duration(value: timedelta, _: Database) -> str:
    return _framed("p", f"{value.days},{value.seconds},{value.microseconds}")


def _write_sequence(tag: str) -> Writer:
    def write(value: list[Any] | tuple[Any, ...], database: Database) -> str:
        return _framed(tag, "".join([encode(item, database) for item in value]))

    return write


def _write_set(tag: str) -> Writer:
    def write(value: set[Any] | frozenset[Any], database: Database) -> str:
        return _framed(tag, "".join(sorted(encode(item, database) for item in value)))

    return write


def _write_dict(value: dict[Any, Any], database: Database) -> str:
    pairs = (encode(key, database) + encode(item, database) for key, item in value.items())
    return _framed("m", "".join(sorted(pairs)))


def _write_named(value: Any, database: Database) -> str:
    if isinstance(value, type):
        msg = f"it is the class {value.__name__} (in a class, write @cached above @classmethod)."
        raise UncacheableArgument(msg)
    if isinstance(value, Enum):
        member = value.value if isinstance(value, Flag) else value.name  # flags may be nameless
        return _framed("e", encode(path_of(type(value))) + encode(member))
    if hasattr(value, "_meta") and hasattr(value, "_state"):
        return _write_instance(value, database)
    if hasattr(value, "query") and hasattr(value, "model"):
        raise UncacheableArgument("it is a queryset, whose rows may change under the same key.")
    raise UncacheableArgument(f"it is of type {path_of(type(value))}.")


def _write_instance(instance: Any, database: Database) -> str:
    if instance.pk is None or instance._state.adding:  # noqa: SLF001 - how Django itself names it
        msg = f"it is an unsaved {type(instance).__name__}, which has no identity yet."
        raise UncacheableArgument(msg)
    alias = instance._state.db  # noqa: SLF001 - Django keeps it there
    home = None if alias is None else database(alias)
    return _framed("o", encode((instance._meta.label_lower, instance.pk, home)))  # noqa: SLF001 - a model's options are there


_WRITERS: dict[type, Writer] = {
    type(None): lambda _, __: "n0:",
    bool: lambda value, _: "b1:1" if value else "b1:0",
    int: _write_int,
    str: _write_str,
    float: lambda value, _: _framed("f", repr(value)),
    bytes: lambda value, _: _framed("y", value.hex()),
    Decimal: lambda value, _: _framed("d", str(value)),
    UUID: lambda value, _: _framed("u", str(value)),
    date: lambda value, _: _framed("D", value.isoformat()),
    datetime: _write_moment("T"),
    time: _write_moment("t"),
    timedelta: _write_duration,
    tuple: _write_sequence("("),
    list: _write_sequence("["),
    set: _write_set("{"),
    frozenset: _write_set("<"),
    dict: _write_dict,
}
# Equal if and only if their texts are, once their types are. Unlike 0.0 and -0.0, or Decimal("1") and "1.0".
_PLAIN = frozenset({type(None), bool, int, str, bytes, UUID, date, timedelta})
