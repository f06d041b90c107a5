from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scalekit.db.sharding.keys import hash_of_text

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_KEY = 255  # characters of a key that has a shard of its own


@dataclass(frozen=True, slots=True)
class SlotMap:
    """Which shard holds each slot, and each key that has a shard of its own.

    Version 0 is what the settings alone say. For `Ranges`, `assignments` are those of its ranges, whose first
    keys are `boundaries`. `directory` goes by `canonical_text`. While it is not `live`, the group's rows still lie
    unsharded, all on one alias.
    """

    version: int
    assignments: tuple[str, ...]
    directory: Mapping[str, str] = field(default_factory=dict)
    boundaries: tuple[str, ...] = ()
    live: bool = True

    def shards(self) -> tuple[str, ...]:
        """Return every shard that holds a slot or a key, each once."""
        return tuple(dict.fromkeys((*self.assignments, *self.directory.values())))

    def strays(self, slots: int) -> dict[int, tuple[str, ...]]:
        """Return the shards to which keys of a slot were sent, by slot of `slots`."""
        found: dict[int, list[str]] = {}
        for text, alias in self.directory.items():
            found.setdefault(hash_of_text(text) % slots, []).append(alias)
        return {slot: tuple(dict.fromkeys(aliases)) for slot, aliases in found.items()}
