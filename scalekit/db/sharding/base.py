"""The contract of sharding schemes: key -> slot -> shard."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

from django.db import DEFAULT_DB_ALIAS

from scalekit.core.exceptions import SettingInvalid
from scalekit.db.exceptions import KeyDecides, KeyUnassigned, ShardKeyInvalid
from scalekit.db.sharding.keys import ShardKey, canonical_text, hash_of_text, stable_hash
from scalekit.db.sharding.mapping.slot_map import SlotMap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["MAX_SLOTS", "ShardKey", "ShardingScheme", "stable_hash"]

MAX_SLOTS = 4096  # an id has 12 bits for its slot


class KeyStore(Protocol):
    """Where the shards of single keys are kept, by `canonical_text`."""

    def shard_of(self, text: str) -> str | None:
        """Return the shard of a key, None while it has none."""

    def place(self, text: str) -> str:
        """Give a new key to the shard that has the fewest keys, and return it."""


class ShardingScheme(ABC):
    """Where the rows of a key live.

    A key never moves between slots; slots may move between shards. That is why ids hold a slot. A scheme says
    where slots begin (`initial_shard`); once a map is stored, that decides.

    `slots` is a power of two up to 4096, so that the slot inside an id stays right whatever it is. `starts_on`
    is "default" while the rows of a table that is still to be sharded lie there: the map begins as not `live`.
    """

    keyed = False
    """Whether the key decides and not its slot, so that `shard_for_slot` has no answer."""
    looks_up_keys = False
    """Whether keys are looked up one by one, and not read together with the map."""

    spreads_itself = False
    """Whether the engine behind the one alias spreads the rows, so that no query has to name a shard."""

    def __init__(
        self, alias: str, *, shards: Sequence[str], slots: int = MAX_SLOTS, starts_on: str = ""
    ) -> None:
        if isinstance(shards, str) or not shards or not all(isinstance(s, str) for s in shards):
            msg = f"shards is {shards!r}; write a list of aliases of DATABASES"
            raise ValueError(msg)
        if len(set(shards)) != len(shards):
            msg = f"shards names an alias twice: {', '.join(shards)}"
            raise ValueError(msg)
        if "default" in shards and not self.spreads_itself:
            msg = (
                "shards names 'default', which has the unsharded tables: a join from these would find "
                "the rows of one shard alone, and silently. Give each shard a database of its own, "
                "which may be on the same server"
            )
            raise ValueError(msg)
        if not _is_power_of_two(slots):
            msg = f"slots is {slots!r}; write a power of two up to {MAX_SLOTS}"
            raise ValueError(msg)
        if len(shards) > slots:
            msg = f"{len(shards)} shards cannot share {slots} slots; write more slots"
            raise ValueError(msg)
        if starts_on not in ("", DEFAULT_DB_ALIAS) or starts_on in shards:
            msg = f"starts_on is {starts_on!r}; write 'default', where the rows lie unsharded, or leave it out"
            raise ValueError(msg)
        self.alias, self.shards, self.slots = alias, tuple(shards), slots
        self.starts_on = starts_on
        self.stored: Callable[[], SlotMap] | None = None  # called whenever a shard is looked up
        self.stored_keys: KeyStore | None = None  # asked for keys that are not read with the map
        self._map: SlotMap | None = None
        self._strays: tuple[SlotMap | None, dict[int, tuple[str, ...]]] = (None, {})

    @abstractmethod
    def initial_shard(self, slot: int) -> str:
        """Return where a slot begins, by the options alone."""

    @property
    def map(self) -> SlotMap:
        """The map that decides: the stored one, else that of the options."""
        if self.stored is not None:
            return self.stored()
        if self._map is None:
            self._map = self.initial_map()
        return self._map

    def initial_map(self) -> SlotMap:
        """Return the map of the options alone, which is version 0."""
        aliases = tuple(self.initial_shard(slot) for slot in range(self.slots))
        return SlotMap(0, aliases, live=not self.starts_on)

    def check_map(self, found: SlotMap) -> None:
        """Raise `SettingInvalid` if the options do not fit a stored map."""
        if not found.live and not self.starts_on:
            raise self._unfit(
                "the rows have not been handed over to the shards yet, but starts_on is gone; write "
                '"starts_on": "default" again until manage.py shard_tables switch has'
            )
        missing = [alias for alias in found.shards() if alias not in self.shards]
        if missing:
            raise self._unfit(
                f"the stored map has rows on {', '.join(missing)}, which shards does not name; add "
                "it again, and move its slots away before it is removed"
            )
        if not self._fits(found):
            raise self._unfit(
                f"the stored map has {len(found.assignments)} slots and {len(found.boundaries)} boundaries; write "
                "the BACKEND and the slots that it was made with, since a key never changes its slot"
            )

    def slot(self, key: ShardKey) -> int:
        """Return the slot of a key: the same in every process, for ever."""
        return stable_hash(key) % self.slots

    def shard_for_slot(self, slot: int) -> str:
        """Return the primary that holds a slot, all but its keys that have a shard of their own.

        Raises `KeyDecides` for a scheme whose keys decide.
        """
        if self.keyed:
            raise KeyDecides(
                f"In the shard group {self.alias!r} the key decides which shard holds a row, so a slot names none."
            )
        return self.map.assignments[slot % self.slots]

    def shards_for_slot(self, slot: int) -> tuple[str, ...]:
        """Return every primary on which rows of a slot may lie, the likeliest first; one for most slots."""
        found = self.map
        if self.keyed:
            return found.shards()
        home = found.assignments[slot % self.slots]
        if not found.directory:
            return (home,)
        elsewhere = self._strays_of(found).get(slot % self.slots, ())
        return tuple(dict.fromkeys((home, *elsewhere)))

    def shard_for(self, key: ShardKey) -> str:
        """Return the alias of the primary that holds a key's rows. Raises `ShardKeyInvalid`."""
        text = canonical_text(key)
        found = self.map
        if found.directory:
            alias = found.directory.get(text)
            if alias is not None:
                return alias
        return self._shard_of_text(text, found)

    def has_shard(self, key: ShardKey) -> bool:
        """Return whether a key has a shard. A question alone: it gives none to a key that has not."""
        try:
            self.shard_for(key)
        except (KeyUnassigned, ShardKeyInvalid):
            return False
        return True

    def _shard_of_text(self, text: str, found: SlotMap) -> str:
        """Return the shard of a key that has none of its own."""
        return found.assignments[hash_of_text(text) % self.slots]

    def _strays_of(self, found: SlotMap) -> dict[int, tuple[str, ...]]:
        of, strays = self._strays
        if of is not found:
            strays = found.strays(self.slots)
            self._strays = found, strays
        return strays

    def _fits(self, found: SlotMap) -> bool:
        return len(found.assignments) == self.slots and not found.boundaries

    def _unfit(self, why: str) -> SettingInvalid:
        return SettingInvalid(f"SCALEKIT_DB_SHARDING[{self.alias!r}]: {why}.")

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what reads the map: a copy in another process answers by the map of the original."""
        return {
            **self.__dict__,
            "_map": self.map,
            "stored": None,
            "stored_keys": None,
            "_strays": (None, {}),
        }


def _is_power_of_two(slots: object) -> bool:
    return isinstance(slots, int) and 1 <= slots <= MAX_SLOTS and not slots & (slots - 1)
