from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from scalekit.db.exceptions import KeyDecides, KeyUnassigned, ShardKeyInvalid
from scalekit.db.sharding.base import MAX_SLOTS, ShardingScheme
from scalekit.db.sharding.keys import canonical_text
from scalekit.db.sharding.mapping.slot_map import LONGEST_KEY, SlotMap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalekit.db.sharding.keys import ShardKey

NEW_KEYS = ("refuse", "least_filled")
REMEMBERED = 100_000  # keys of one map version, about 20 MB


class Directory(ShardingScheme):
    """Each key has its shard in a table on `default`, which is asked once a process for each key.

    `new_keys` says what becomes of a key that has none: "refuse" raises `KeyUnassigned` until somebody assigns
    it (`assign_key`, manage.py shard_map assign); "least_filled" gives it, as soon as anything asks for it, the
    shard with the fewest keys, as counted in the last minute.
    """

    keyed = True
    looks_up_keys = True

    def __init__(
        self,
        alias: str,
        *,
        shards: Sequence[str],
        new_keys: Literal["refuse", "least_filled"] = "refuse",
        slots: int = MAX_SLOTS,
        starts_on: str = "",
    ) -> None:
        super().__init__(alias, shards=shards, slots=slots, starts_on=starts_on)
        if new_keys not in NEW_KEYS:
            msg = f"new_keys is {new_keys!r}; write one of: {', '.join(NEW_KEYS)}"
            raise ValueError(msg)
        self.new_keys = new_keys
        self._known: tuple[SlotMap | None, dict[str, str]] = (None, {})

    def initial_map(self) -> SlotMap:
        return SlotMap(0, (), live=not self.starts_on)

    def initial_shard(self, slot: int) -> str:  # noqa: ARG002 - the contract's
        raise KeyDecides

    def shards_for_slot(self, slot: int) -> tuple[str, ...]:  # noqa: ARG002 - the contract's
        return self.shards

    def has_shard(self, key: ShardKey) -> bool:
        """Return whether a key has a shard; whatever a visitor types is not to be given one."""
        text = canonical_text(key)
        if text in self._known[1] or len(text) > LONGEST_KEY or self.stored_keys is None:
            return super().has_shard(key)
        return self.stored_keys.shard_of(text) is not None

    def _shard_of_text(self, text: str, found: SlotMap) -> str:
        # Those of another version may have moved. A thread that is late fills what nobody reads any more.
        of, known = self._known
        if of is not found:
            known = {}
            self._known = found, known
        alias = known.get(text)
        if alias is None:
            alias = self._asked(text)
            if len(known) >= REMEMBERED:
                known.clear()
            known[text] = alias
        return alias

    def _asked(self, text: str) -> str:
        if len(text) > LONGEST_KEY:
            raise ShardKeyInvalid(
                f"A key of a directory has at most {LONGEST_KEY} characters, not {len(text)}."
            )
        alias = None if self.stored_keys is None else self.stored_keys.shard_of(text)
        if alias is not None:
            return alias
        if self.stored_keys is not None and self.new_keys == "least_filled":
            return self.stored_keys.place(text)
        raise KeyUnassigned(
            f"The key {text!r} has no shard in {self.alias!r} yet; write manage.py shard_map assign "
            f'{self.alias} --key {text} SHARD, or "new_keys": "least_filled" in OPTIONS.'
        )

    def _fits(self, found: SlotMap) -> bool:
        return not found.assignments
