"""What is kept in a process and given to many callers: none of them can spoil it for the next.

A value that nothing can change is given as it is. A list, set or dict of such is copied flat, which takes
some 50 ns. All else is kept pickled and made anew for each caller.
"""

from __future__ import annotations

import pickle
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.utils.safestring import SafeString

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_ATOMS = frozenset(
    {
        *(type(None), bool, int, float, complex, str, bytes, range),
        *(Decimal, UUID, date, datetime, time, timedelta, SafeString),
    }
)
_FLAT = frozenset({list, set, dict})


class Kept:
    """One value: `value` is what every caller may have, unless there is `give`, which makes a caller's own."""

    __slots__ = ("give", "size", "value")

    def __init__(self, value: Any) -> None:
        """Keep a copy of `value`. Raises what pickling it raises."""
        kind = type(value)
        self.value: Any = None
        self.give: Callable[[], Any] | None = None
        if _is_immutable(value):
            self.value = value
            self.size = sys.getsizeof(value)
        elif kind in _FLAT and _are_immutable(_parts(value)):
            self.give = value.copy().copy  # of our own copy
            self.size = sys.getsizeof(value) + sum(map(sys.getsizeof, _parts(value)))
        else:
            data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
            self.give = partial(pickle.loads, data)
            self.size = len(data)


def _parts(value: Any) -> Iterable[Any]:
    return [*value, *value.values()] if type(value) is dict else value


def _is_immutable(value: Any) -> bool:
    kind = type(value)
    if kind is tuple or kind is frozenset:
        return _are_immutable(value)
    return kind in _ATOMS


def _are_immutable(values: Iterable[Any]) -> bool:
    return all(map(_is_immutable, values))
