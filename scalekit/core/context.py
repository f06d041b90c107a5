"""Facts about the current unit of work: one request, one message, one command.

    REQUEST_ID: Fact[str] = Fact("request_id", "", portable=True)

    with unit_of_work():
        REQUEST_ID.set("4f1c")      # for the rest of this unit, in its tasks too
        with REQUEST_ID.bind("x"):  # only inside the block, only in this task
            ...

`set` writes into the unit, one mutable object that child tasks of `asyncio.gather` share with their
parent: what a child learns, the parent knows. `bind` is the opposite: it never leaves its block. A unit
never outlives its request, and outside any unit `set` keeps nothing, so that a thread which serves many
requests cannot carry one visitor's facts to the next.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from scalekit.core.events import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

T = TypeVar("T")
Unit = dict[str, Any]

_UNSET: Any = object()
_unit: ContextVar[Unit | None] = ContextVar("scalekit_unit", default=None)

facts: dict[str, Fact[Any]] = {}

FACT_REFUSED = Event(
    "fact_refused", "A fact that came with a message could not be read.", labels=("fact",)
)


class Fact(Generic[T]):
    """A named value of the current unit of work.

    A `portable` fact travels with queued messages, as JSON; `load` turns what arrived back into a value
    and raises ValueError or TypeError for anything it does not trust. A `logged` fact stands on every
    log line of its unit.

    A portable fact with `merge` is a demand on whoever reads data: merged, two are met together. `renew`
    makes of a fact what it is in a block that must meet more demands than its unit of work.
    """

    def __init__(  # noqa: PLR0913 - a declaration, read as a list
        self,
        name: str,
        default: T,
        *,
        portable: bool = False,
        logged: bool = False,
        load: Callable[[Any], T] | None = None,
        merge: Callable[[T, T], T] | None = None,
        renew: Callable[[T], T] | None = None,
    ) -> None:
        if name in facts:
            msg = f"A fact named {name!r} exists already."
            raise ValueError(msg)
        self.name, self.default = name, default
        self.portable, self.logged, self.load = portable, logged, load
        self.merge, self.renew = merge, renew
        self._bound: ContextVar[Any] = ContextVar(f"scalekit_{name}", default=_UNSET)
        facts[name] = self

    def __repr__(self) -> str:
        return f"<Fact {self.name}>"

    def get(self) -> T:
        """Return the value bound by the innermost block, else the unit's, else the default."""
        bound: T = self._bound.get()
        if bound is not _UNSET:
            return bound
        unit = _unit.get()
        return self.default if unit is None else unit.get(self.name, self.default)

    def set(self, value: T) -> bool:
        """Keep `value` for the rest of the unit of work; False where there is none to keep it in."""
        unit = _unit.get()
        if unit is None:
            return False
        unit[self.name] = value
        return True

    def bind(self, value: T) -> Binding[T]:
        """Return a context manager under which `get` answers `value`, in this task or thread only."""
        return Binding(self._bound, value)


class Binding(Generic[T]):
    """A block in which a context variable has another value.

    Restores by setting the old value, never by a token: a token made in one phase of a request may not
    be used in another (https://github.com/django/asgiref/issues/534).
    """

    __slots__ = ("_before", "_value", "_variable")

    def __init__(self, variable: ContextVar[Any], value: T) -> None:
        self._variable, self._value = variable, value

    def __enter__(self) -> T:
        self._before = self._variable.get()
        self._variable.set(self._value)
        return self._value

    def __exit__(self, *exc_info: object) -> None:
        self._variable.set(self._before)


def current_unit() -> Unit | None:
    """Return the unit of work this code runs in, if any."""
    return _unit.get()


def unit_of_work(unit: Unit | None = None) -> Binding[Unit]:
    """Return a context manager that runs its block in a new unit of work, or again in `unit`."""
    return Binding(_unit, {} if unit is None else unit)


def portable_facts() -> dict[str, Any]:
    """Return the portable facts that differ from their defaults, ready to travel with a message."""
    travelling = (fact for fact in facts.values() if fact.portable)
    return {f.name: value for f in travelling if (value := f.get()) != f.default}


@contextmanager
def arrived_with(carried: Mapping[str, Any]) -> Iterator[None]:
    """Run the block in a new unit of work that knows the facts a message `carried`.

    What is unknown, not portable or unreadable is left out and announced: a message may come from an
    older release, or from someone who should not have written it.
    """
    with unit_of_work():
        for name, raw in carried.items():
            _unpack(name, raw)
        yield


def _unpack(name: str, raw: Any) -> None:
    fact = facts.get(name)
    try:
        if fact is None or not fact.portable:
            raise ValueError(name)
        fact.set(raw if fact.load is None else fact.load(raw))
    except (TypeError, ValueError, KeyError, AttributeError):
        FACT_REFUSED.emit(fact=name if fact else "unknown")


def demands() -> dict[str, Any]:
    """Return the portable facts that later readers of this unit's writes must meet.

    Also those that were learned inside `demanding`, whose block answers what it began with.
    """
    unit = current_unit() or {}
    met = {
        fact.name: fact.merge(unit.get(fact.name, fact.default), fact.get())
        for fact in facts.values()
        if fact.portable and fact.merge is not None
    }
    return {name: value for name, value in met.items() if value != facts[name].default}


@contextmanager
def demanding(carried: Iterable[Mapping[str, Any]]) -> Iterator[None]:
    """Meet also the demands that were `carried`, in this block, task and thread only.

    What is unknown, no demand or unreadable is left out and announced, as by `arrived_with`.
    """
    with ExitStack() as stack:
        for demanded in carried:
            for name, raw in demanded.items():
                _demand(stack, name, raw)
        for fact in tuple(facts.values()):
            if fact.renew is not None:
                stack.enter_context(fact.bind(fact.renew(fact.get())))
        yield


def _demand(stack: ExitStack, name: str, raw: Any) -> None:
    fact = facts.get(name)
    try:
        if fact is None or not fact.portable or fact.merge is None:
            raise ValueError(name)
        value = raw if fact.load is None else fact.load(raw)
        stack.enter_context(fact.bind(fact.merge(fact.get(), value)))
    except (TypeError, ValueError, KeyError, AttributeError):
        FACT_REFUSED.emit(fact=name if fact else "unknown")


def logged_facts() -> dict[str, Any]:
    """Return what every log line of the current unit of work should say."""
    spoken = (fact for fact in facts.values() if fact.logged)
    return {f.name: value for f in spoken if (value := f.get()) != f.default}
