"""A call of a cached function, to be made now, later or by another process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Call:
    """A function and its arguments; `bound` are those that a method is bound to."""

    __slots__ = ("args", "bound", "function", "kwargs", "path")

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        bound: tuple[Any, ...] = (),
        path: str = "",
    ) -> None:
        self.function, self.args, self.kwargs = function, args, kwargs or {}
        self.bound, self.path = bound, path

    def __call__(self) -> Any:
        return self.function(*self.bound, *self.args, **self.kwargs)
