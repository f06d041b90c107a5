"""The contract of sharding schemes: key -> slot -> shard."""

from __future__ import annotations

from abc import ABC, abstractmethod
from hashlib import blake2b
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

from scalekit.db.exceptions import ShardKeyInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

ShardKey: TypeAlias = int | str | UUID

UUID_LENGTHS = (32, 36)  # without dashes and with them


class ShardingScheme(ABC):
    """Where the rows of a key live.

    A key never moves between slots; slots may move between shards. That is why ids hold a slot.
    """

    def __init__(self, alias: str, *, shards: Sequence[str], slots: int) -> None:
        if isinstance(shards, str) or not shards or not all(isinstance(s, str) for s in shards):
            msg = f"shards is {shards!r}; write a list of aliases of DATABASES"
            raise ValueError(msg)
        if len(set(shards)) != len(shards):
            msg = f"shards names an alias twice: {', '.join(shards)}"
            raise ValueError(msg)
        if "default" in shards:
            msg = (
                "shards names 'default', which has the unsharded tables: a join from these would find "
                "the rows of one shard alone, and silently. Give each shard a database of its own, "
                "which may be on the same server"
            )
            raise ValueError(msg)
        self.alias, self.shards, self.slots = alias, tuple(shards), slots

    @abstractmethod
    def slot(self, key: ShardKey) -> int:
        """Return the slot of a key: the same in every process, for ever."""

    @abstractmethod
    def shard_for_slot(self, slot: int) -> str:
        """Return the alias of the primary that holds a slot."""

    def shard_for(self, key: ShardKey) -> str:
        """Return the alias of the primary that holds a key's rows."""
        return self.shard_for_slot(self.slot(key))


def stable_hash(key: ShardKey) -> int:
    """Return 64 bits that depend on the key's text alone: 7, "7" and "07" agree, as do a UUID and its texts.

    Not ``hash()``, which differs between processes (PYTHONHASHSEED). Raises `ShardKeyInvalid`.
    """
    if isinstance(key, bool) or not isinstance(key, (int, str, UUID)):
        msg = f"A shard key must be an integer, a string or a UUID, not {key!r}."
        raise ShardKeyInvalid(msg)
    # format() of the exact type: an IntegerChoices member must not hash by its label.
    text = int.__repr__(key) if isinstance(key, int) else str.__str__(str(key))
    text = _canonical(text)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


def _canonical(text: str) -> str:
    """Return one spelling for all that name the same UUID or integer."""
    try:
        return str(UUID(text) if len(text) in UUID_LENGTHS else int(text))
    except ValueError:
        return text
