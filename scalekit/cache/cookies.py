"""The cookies of a request, which say who looks at which of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Cookies(MutableMapping[str, str]):
    """A request's cookies that say by `take` which of them is asked for; None are all of them.

    The cookies of a page hear what is asked for by a part of it.
    """

    def __init__(self, cookies: Mapping[str, str], take: Callable[[object], None]) -> None:
        self._take_one, self._outer = take, cookies if isinstance(cookies, Cookies) else None
        self._own: dict[str, str]
        self._own = dict(cookies if self._outer is None else self._outer._own)  # noqa: SLF001 - our class

    def copy(self) -> dict[str, str]:
        """Return all of them, to keep."""
        self._take(None)
        return dict(self._own)

    __copy__ = copy

    def __getitem__(self, name: str) -> str:
        self._take(name)
        return self._own[name]

    def __contains__(self, name: object) -> bool:
        self._take(name)
        return name in self._own

    def __setitem__(self, name: str, text: str) -> None:
        self._own[name] = text

    def __delitem__(self, name: str) -> None:
        self._take(name)
        del self._own[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.copy())

    def __len__(self) -> int:
        return len(self.copy())

    def __repr__(self) -> str:
        return repr(self.copy())

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()

    def _take(self, name: object) -> None:
        self._take_one(name)
        if self._outer is not None:
            self._outer._take(name)  # noqa: SLF001 - of our own class
