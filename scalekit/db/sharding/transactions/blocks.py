from __future__ import annotations

import inspect
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

F = TypeVar("F", bound="Callable[..., Any]")

# Open blocks of this thread. They are kept here, not on the objects, which several threads may enter.
_open: ContextVar[tuple[AbstractContextManager[Any], ...]] = ContextVar("scalekit_db_blocks")


class Block:
    """A with block, and a decorator that opens it anew at each call; for sync code, as Django's transactions are."""

    def _block(self) -> AbstractContextManager[Any]:
        raise NotImplementedError

    def __enter__(self) -> Any:
        block = self._block()
        value = block.__enter__()
        _open.set((*_open.get(()), block))
        return value

    def __exit__(self, *exc_info: object) -> bool | None:
        *outer, block = _open.get()
        _open.set(tuple(outer))
        return block.__exit__(*exc_info)  # type: ignore[arg-type]  # passed through

    def __call__(self, function: F) -> F:
        name = type(self).__name__
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            msg = (
                f"Django has no transactions in async code, so {name} cannot decorate {function.__qualname__}. "
                "Decorate a function with `def`, and call it through sync_to_async()."
            )
            raise TypeError(msg)
        if inspect.isgeneratorfunction(function):
            msg = f"{function.__qualname__} is a generator; write the with block inside it."
            raise TypeError(msg)

        @wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with self._block():
                return function(*args, **kwargs)

        return inside  # type: ignore[return-value]  # same signature
