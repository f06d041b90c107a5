"""64-bit ids that sort by time and say where their row lives: 41 bits ms | 12 bits slot | 10 bits sequence.

After Instagram's (https://instagram-engineering.com/sharding-ids-at-instagram-1cf5a71e5a5c), with the
slot in place of the shard: a slot that moves to another shard takes its ids along.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

EPOCH_MS = 1_704_067_200_000  # 2024-01-01T00:00:00Z; 41 bits last until 2093
SLOT_BITS, SEQUENCE_BITS = 12, 10
ID_SLOTS = 1 << SLOT_BITS
SEQUENCES = 1 << SEQUENCE_BITS
MAX_ID = (1 << 63) - 1


def slot_of_id(snowflake: int) -> int:
    """Return the slot inside an id."""
    return (snowflake >> SEQUENCE_BITS) & (ID_SLOTS - 1)


def milliseconds_of_id(snowflake: int) -> int:
    """Return when an id was made, in milliseconds since 1970."""
    return (snowflake >> (SLOT_BITS + SEQUENCE_BITS)) + EPOCH_MS


def _wall_clock() -> int:
    return time.time_ns() // 1_000_000


class IdGenerator:
    """Give ids that never repeat in this process and grow within each slot.

    When the clock goes back, or a slot has used up a millisecond, time is borrowed from the future.
    Two processes that give ids of one slot in the same millisecond may collide (once in some hundred
    times); the database then refuses the second row. Sequences start at random for that reason.
    """

    def __init__(self, clock: Callable[[], int] = _wall_clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._ms = 0
        self._sequences: dict[int, int] = {}

    def next_id(self, slot: int) -> int:
        """Return a new id of `slot`."""
        with self._lock:
            now = self._clock() - EPOCH_MS
            if now > self._ms:
                self._start(now)
            sequence = self._sequences.get(slot, -1) + 1 or _random_start()
            if sequence == SEQUENCES:
                self._start(self._ms + 1)
                sequence = _random_start()
            self._sequences[slot] = sequence
            return (self._ms << (SLOT_BITS + SEQUENCE_BITS)) | (slot << SEQUENCE_BITS) | sequence

    def fork(self) -> None:
        """Begin again in a child process, so that it does not repeat what its parent goes on to give."""
        self._lock = threading.Lock()
        self._sequences = {}

    def _start(self, ms: int) -> None:
        self._ms = ms
        self._sequences.clear()


def _random_start() -> int:
    """Return a start in the lower half: at least 512 ids a millisecond, from the kernel, fork-safe."""
    return int.from_bytes(os.urandom(2)) % (SEQUENCES // 2)


generator = IdGenerator()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=generator.fork)
