from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any
from uuid import UUID

from scalekit.db.exceptions import ShardKeyInvalid
from scalekit.db.sharding.base import MAX_SLOTS, ShardingScheme
from scalekit.db.sharding.keys import canonical_text
from scalekit.db.sharding.mapping.slot_map import SlotMap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scalekit.db.sharding.keys import ShardKey

KINDS: dict[type, Callable[[str], Any]] = {int: int, str: str, UUID: UUID}


class Ranges(ShardingScheme):
    """Keys in order: the first range ends before the first of `boundaries`, each of which begins the next.

    Boundaries are sorted integers, UUIDs or strings, which are compared by code point, and keys must be of their
    kind. Range i begins on shard i; a shard that has no range stays empty. Neighbours lie together, and new keys
    that only grow all go to the last range.
    """

    keyed = True

    def __init__(
        self,
        alias: str,
        *,
        shards: Sequence[str],
        boundaries: Sequence[ShardKey],
        slots: int = MAX_SLOTS,
        starts_on: str = "",
    ) -> None:
        super().__init__(alias, shards=shards, slots=slots, starts_on=starts_on)
        self.kind, self.boundaries = _checked(boundaries)
        self._parsed: tuple[Sequence[str], list[Any]] = ((), [])

    def initial_map(self) -> SlotMap:
        ranges = len(self.boundaries) + 1
        aliases = tuple(self.initial_shard(number) for number in range(ranges))
        return SlotMap(0, aliases, boundaries=self.boundaries, live=not self.starts_on)

    def initial_shard(self, slot: int) -> str:
        """Return where the range of this number begins, from 0."""
        return self.shards[slot % len(self.shards)]

    def range_of(self, key: ShardKey, boundaries: Sequence[str]) -> int:
        """Return the number of the range that a key lies in. Raises `ShardKeyInvalid` for another kind of key."""
        return bisect_right(self._parsed_boundaries(boundaries), self._value(canonical_text(key)))

    def _shard_of_text(self, text: str, found: SlotMap) -> str:
        place = bisect_right(self._parsed_boundaries(found.boundaries), self._value(text))
        return found.assignments[place]

    def _parsed_boundaries(self, boundaries: Sequence[str]) -> list[Any]:
        of, parsed = self._parsed
        if of is not boundaries:
            parsed = [self._value(text) for text in boundaries]
            self._parsed = boundaries, parsed
        return parsed

    def _value(self, text: str) -> Any:
        try:
            return KINDS[self.kind](text)
        except ValueError:
            raise ShardKeyInvalid(
                f"The shard group {self.alias!r} has ranges of {self.kind.__name__}, and {text!r} is none."
            ) from None

    def _fits(self, found: SlotMap) -> bool:
        return bool(found.boundaries) and len(found.assignments) == len(found.boundaries) + 1


def _checked(boundaries: Sequence[ShardKey]) -> tuple[type, tuple[str, ...]]:
    """Return the kind of the boundaries, and their texts. Raises `ValueError`."""
    kinds = set() if isinstance(boundaries, str) else {type(boundary) for boundary in boundaries}
    if len(kinds) != 1 or not kinds <= KINDS.keys():
        msg = f"boundaries is {boundaries!r}; write a list of integers, strings or UUIDs, all of one kind"
        raise ValueError(msg)
    kind = kinds.pop()
    if list(boundaries) != sorted(set(boundaries)):
        msg = f"boundaries is {boundaries!r}; write each once, in order"
        raise ValueError(msg)
    texts = tuple(canonical_text(boundary) for boundary in boundaries)
    if kind is str and texts != tuple(boundaries):
        msg = f"boundaries is {boundaries!r}; write numbers and UUIDs as keys have them: {list(texts)!r}"
        raise ValueError(msg)
    return kind, texts
