"""The contract of a serializer: a value to bytes and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from scalekit.cache.exceptions import UncacheableValue


class Serializer(ABC):
    """One way to write values down. `codec` is the byte that names it in stored entries.

    Registered in ``SCALEKIT_CACHE_SERIALIZER``, by the alias of the cache; called as
    ``BACKEND(alias, **OPTIONS)``. What one serializer wrote no other reads: an entry of another codec
    is a miss, so that a project that leaves pickle never unpickles again.
    """

    codec: ClassVar[bytes]

    def __init__(self, alias: str) -> None:
        self.alias = alias

    @abstractmethod
    def dumps(self, value: Any) -> bytes:
        """Return `value` as bytes. Raises `UncacheableValue`."""

    @abstractmethod
    def loads(self, payload: memoryview | bytes) -> Any:
        """Return the value. May raise anything; is given authenticated bytes only."""


class FaithfulSerializer(Serializer):
    """A serializer of a format that knows fewer types than Python, which refuses what it would change.

    A caller must not get a list from a hit where a miss gave a tuple.
    """

    format: ClassVar[str]

    def dumps(self, value: Any) -> bytes:
        try:
            payload = self.write(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise UncacheableValue(self._refusal(value, str(error))) from error
        if not same(self.loads(payload), value):
            raise UncacheableValue(self._refusal(value, "it would come back changed"))
        return payload

    @abstractmethod
    def write(self, value: Any) -> bytes:
        """Return `value` as bytes. Raises TypeError, ValueError or OverflowError."""

    def _refusal(self, value: Any, why: str) -> str:
        return (
            f"A {type(value).__name__} cannot be stored as {self.format}: {why}. Return what {self.format}"
            " knows (no tuples, no sets, no objects), or use the pickle serializer for this cache."
        )


def same(one: Any, other: Any) -> bool:
    """Return whether the two are equal, and of the same types all the way down."""
    if type(one) is not type(other) or getattr(one, "tzinfo", None) != getattr(
        other, "tzinfo", None
    ):
        return False
    if isinstance(one, dict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other or (one != one and other != other))  # noqa: PLR0124 - NaN
