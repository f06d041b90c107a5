"""Which middleware has something to do at which moment.

Dramatiq calls every hook of every middleware, at eight moments of each job; nearly all of them do nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dramatiq import Broker, Middleware
from dramatiq.middleware import MiddlewareError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Hooks:
    """Who of `middleware` has a hook of its own, in the order in which it stands."""

    def __init__(self, middleware: Sequence[Any]) -> None:
        self.middleware = list(middleware)
        self._of: dict[str, list[Any]] = {}

    def of(self, name: str) -> list[Any]:
        found = self._of.get(name)
        if found is None:
            found = self._of[name] = [each for each in self.middleware if _has(each, name)]
        return found


def _has(middleware: Any, name: str) -> bool:
    idle = getattr(Middleware, name, None)
    return idle is None or getattr(getattr(middleware, name, None), "__func__", None) is not idle


class Emitting(Broker):
    """Dramatiq's broker, which asks only who has something to do; errors go the same ways."""

    _hooks = Hooks(())

    def emit_before(self, signal: str, *args: Any, **kwargs: Any) -> None:
        name = f"before_{signal}"
        for middleware in self._hooked(name):
            try:
                getattr(middleware, name)(self, *args, **kwargs)
            except MiddlewareError:
                raise
            except Exception:  # as in Dramatiq: no middleware keeps the others from their turn
                self.logger.critical(
                    "Unexpected failure in %s of %r.", name, middleware, exc_info=True
                )

    def emit_after(self, signal: str, *args: Any, **kwargs: Any) -> None:
        name = f"after_{signal}"
        for middleware in reversed(self._hooked(name)):
            try:
                getattr(middleware, name)(self, *args, **kwargs)
            except Exception:  # as in Dramatiq: no middleware keeps the others from their turn
                self.logger.critical(
                    "Unexpected failure in %s of %r.", name, middleware, exc_info=True
                )

    def _hooked(self, name: str) -> list[Any]:
        hooks = self._hooks
        if hooks.middleware != self.middleware:  # it is a list that anyone may change
            hooks = self._hooks = Hooks(self.middleware)
        return hooks.of(name)
