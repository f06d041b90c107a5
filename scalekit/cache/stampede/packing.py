"""What a load brought, ready to be stored and to be given to those who wait. Nothing here asks a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from scalekit.cache.invalidation.base import sees_commits
from scalekit.cache.stampede import notes, states
from scalekit.cache.values import pack, unpack

if TYPE_CHECKING:
    from scalekit.cache.policy import Policy
    from scalekit.cache.stampede.steps import Loaded
    from scalekit.cache.store import Store


class Landing(NamedTuple):
    """What a flight brought: a value or an error, both for everyone; how it is stored; and how it was got."""

    value: Any
    error: Exception | None
    packed: bytes | None
    result: str
    stamps: bytes | None = None


class Packing:
    """Packs what is loaded for the entry `key`, as `policy` says."""

    def __init__(self, store: Store, policy: Policy, key: str) -> None:
        self.store, self.policy, self.key = store, policy, key

    def packed(
        self, loaded: Loaded, stamps: bytes, facts: states.Facts
    ) -> tuple[bytes | None, int, Landing]:
        """Return what to store (None: nothing), for how many ms, and what to tell those who wait.

        What a load has written itself, in a transaction that is still open, is for its caller alone.
        """
        if not sees_commits():
            return None, 0, Landing(loaded.value, loaded.error, None, "miss", stamps)
        if loaded.error is not None:
            landing = Landing(None, loaded.error, None, "miss", stamps)
            if not self.policy.keeps_error(loaded.error):
                return None, 0, landing
            packed = self.pack_error(loaded, stamps, facts)
            return packed, round(self.policy.error_ttl * 1000), landing
        try:
            lifetime = self.policy.lifetime(loaded.value)
            packed = self.pack(loaded, stamps, facts, lifetime)
        except Exception as error:  # noqa: BLE001 - the value cannot be stored, or its ttl not be had
            return None, 0, Landing(None, error, None, "miss", stamps)
        landing = Landing(loaded.value, None, packed, "miss", stamps)
        is_kept = self.policy.keeps(loaded.value, lifetime)
        return packed if is_kept else None, self.policy.total_ms(lifetime), landing

    def pack(
        self, loaded: Loaded, stamps: bytes, facts: states.Facts, lifetime: float | None
    ) -> bytes:
        """Return the value as an entry that is fresh for `lifetime` seconds from now. Raises `UncacheableValue`."""
        return pack(
            loaded.value,
            serializer=self.store.serializer,
            key=self.key,
            created=self.store.now() - loaded.seconds,  # no younger than what it has read
            delta=loaded.seconds,
            soft_ttl=None if lifetime is None else lifetime + loaded.seconds,
            stamps=notes.note(stamps, facts),
        )

    def pack_error(self, loaded: Loaded, stamps: bytes, facts: states.Facts) -> bytes | None:
        """Return the error as an entry, or None if it cannot be written or read again."""
        try:
            packed = pack(
                loaded.error,
                serializer=self.store.serializer,
                key=self.key,
                created=self.store.now() - loaded.seconds,
                soft_ttl=self.policy.error_ttl + loaded.seconds,
                stamps=notes.note(stamps, facts, is_error=True),
            )
            unpack(packed, serializer=self.store.serializer, key=self.key)
        except Exception:  # noqa: BLE001 - pickling may raise anything; then it is not kept
            return None
        return packed
