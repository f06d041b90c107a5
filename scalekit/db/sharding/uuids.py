"""UUIDs of version 7 that say where their row lives: RFC 9562 with the slot in rand_a.

48 bits ms | 4 bits version | 12 bits slot | 2 bits variant | 62 bits, random and growing.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING
from uuid import UUID

from scalekit.db.sharding.ids import wall_clock

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION, VARIANT = 7, 0b10
SLOT_MASK = (1 << 12) - 1
RANDOM_BITS = 62
# A first value below half of what there is, then random steps: 2**29 ids at least in each millisecond
# (RFC 9562, 6.2, method 2), and as many bits to guess as a random UUID's counterpart would leave.
START_BITS, STEP_BITS = 61, 32


def slot_of_uuid(value: UUID) -> int | None:
    """Return the slot inside a UUID, None if it is not of version 7."""
    return (value.int >> 64) & SLOT_MASK if value.version == VERSION else None


class UuidGenerator:
    """Give UUIDs that never repeat and grow within each slot, in this process; in others they are random.

    When the clock goes back, the last millisecond goes on.
    """

    def __init__(self, clock: Callable[[], int] = wall_clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._ms = 0
        self._tails: dict[int, int] = {}

    def next_id(self, slot: int) -> UUID:
        """Return a new UUID of `slot`, 0 to 4095."""
        with self._lock:
            now = self._clock()
            if now > self._ms:
                self._start(now)
            tail = self._next_tail(slot)
            if tail >> RANDOM_BITS:
                self._start(self._ms + 1)
                tail = self._next_tail(slot)
            self._tails[slot] = tail
            head = (self._ms << 16) | (VERSION << 12) | slot
            return UUID(int=(head << 64) | (VARIANT << RANDOM_BITS) | tail)

    def fork(self) -> None:
        """Begin again in a child process, so that it does not repeat what its parent goes on to give."""
        self._lock = threading.Lock()
        self._tails = {}

    def _start(self, ms: int) -> None:
        self._ms = ms
        self._tails.clear()

    def _next_tail(self, slot: int) -> int:
        last = self._tails.get(slot)
        return _random(START_BITS) if last is None else last + 1 + _random(STEP_BITS)


def _random(bits: int) -> int:
    """Return that many random bits of the kernel's, which a forked process does not share."""
    return int.from_bytes(os.urandom(8)) >> (64 - bits)


uuid_generator = UuidGenerator()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=uuid_generator.fork)
