"""64-bit ids that sort by time and say where their row lives: 41 bits ms | 12 bits slot | 10 bits sequence.

After Instagram's (https://instagram-engineering.com/sharding-ids-at-instagram-1cf5a71e5a5c), with the
slot in place of the shard: a slot that moves to another shard takes its ids along.

Ten bits are too few for the number of a process and a sequence besides. So a process leases a number of 1024 that
says which milliseconds and which sequences are its own: one millisecond of 64, and 64 sequences of that.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

EPOCH_MS = 1_704_067_200_000  # 2024-01-01T00:00:00Z; 41 bits last until 2093
SLOT_BITS, SEQUENCE_BITS = 12, 10
ID_SLOTS = 1 << SLOT_BITS
SEQUENCES = 1 << SEQUENCE_BITS
MAX_ID = (1 << 63) - 1
LEGACY_IDS = 1 << 48  # below lie ids of a sequence; of ours, those of the first day of 2024
FOREVER = (1 << 41) - 1

NUMBERS = 1024
TURNS = 64  # a number has one millisecond in so many
BLOCK = SEQUENCES * TURNS // NUMBERS  # sequences of that millisecond


def slot_of_id(snowflake: int) -> int:
    """Return the slot inside an id."""
    return (snowflake >> SEQUENCE_BITS) & (ID_SLOTS - 1)


def milliseconds_of_id(snowflake: int) -> int:
    """Return when an id was made, in milliseconds since 1970."""
    return (snowflake >> (SLOT_BITS + SEQUENCE_BITS)) + EPOCH_MS


def wall_clock() -> int:
    return time.time_ns() // 1_000_000


class Share(Protocol):
    """Which milliseconds and sequences a process may use, up to and including the millisecond `last`.

    Milliseconds are those since EPOCH_MS.
    """

    @property
    def last(self) -> int:
        """The last millisecond for which this holds."""

    def latest(self, now: int) -> int:
        """Return the last of its milliseconds that is not after `now`."""

    def after(self, ms: int) -> int:
        """Return the first of its milliseconds after `ms`."""

    def sequences(self) -> range:
        """Return the sequences to use in one millisecond and slot."""


@dataclass(frozen=True, slots=True)
class Everything:
    """The share of a process that knows of no other: all there is, from a random start.

    Two of them that make ids of one slot in the same millisecond collide once in some hundred times; the
    database then refuses the second row.
    """

    last: int = FOREVER

    def latest(self, now: int) -> int:
        return now

    def after(self, ms: int) -> int:
        return ms + 1

    def sequences(self) -> range:
        """Start in the lower half: at least 512 ids a millisecond, from the kernel, fork-safe."""
        return range(int.from_bytes(os.urandom(2)) % (SEQUENCES // 2), SEQUENCES)


@dataclass(frozen=True, slots=True)
class Lease:
    """The share of a leased number, 0 to 1023: nobody else has its milliseconds up to `last` and its sequences."""

    number: int
    first: int
    last: int

    def latest(self, now: int) -> int:
        return now - (now - self.number) % TURNS

    def after(self, ms: int) -> int:
        ms = max(ms + 1, self.first)
        return ms + (self.number - ms) % TURNS

    def sequences(self) -> range:
        start = self.number // TURNS * BLOCK
        return range(start, start + BLOCK)


def everything(_: int) -> Share:
    return Everything()


class IdGenerator:
    """Give ids that never repeat in this process and grow within each slot.

    When the clock goes back, or a slot has used up its milliseconds, time is borrowed from the future. `shares` is
    asked for a share that is good after a given millisecond whenever the last one ends, and `tell` called once it is
    in use: not before the lock is free, since who is told of it may want an id too.
    """

    def __init__(
        self,
        clock: Callable[[], int] = wall_clock,
        shares: Callable[[int], Share] = everything,
        tell: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock, self._shares, self._tell = clock, shares, tell
        self._has_news = False
        self._lock = threading.Lock()
        self._ms = 0
        self._share: Share = Everything(last=-1)
        self._sequences: dict[int, range] = {}  # what is left of this millisecond, by slot

    def next_id(self, slot: int) -> int:
        """Return a new id of `slot`, 0 to 4095."""
        with self._lock:
            self._keep_up(self._clock() - EPOCH_MS)
            left = self._sequences.get(slot)
            if left is None:
                left = self._share.sequences()
            elif not left:
                self._enter(self._share.after(self._ms))
                left = self._share.sequences()
            self._sequences[slot] = left[1:]
            made = (self._ms << (SLOT_BITS + SEQUENCE_BITS)) | (slot << SEQUENCE_BITS) | left[0]
        if self._has_news:
            self._has_news = False
            self._tell()
        return made

    def fork(self) -> None:
        """Begin again in a child process, so that it does not repeat what its parent goes on to give."""
        self._lock = threading.Lock()
        self._share = Everything(last=-1)
        self._sequences = {}

    def _keep_up(self, now: int) -> None:
        if max(now, self._ms) > self._share.last:
            self._enter(max(now, self._ms))
        else:
            latest = self._share.latest(now)
            if latest > self._ms:
                self._enter(latest)

    def _enter(self, ms: int) -> None:
        """Go on to a millisecond of this share, or to the first one of the next."""
        if ms > self._share.last:
            self._share = self._shares(ms)
            self._has_news = True
            ms = self._share.after(max(ms - 1, self._ms))
        self._ms = ms
        self._sequences.clear()


def leased(ms: int) -> Share:
    """Ask for a lease, where the settings say so."""
    from scalekit.db.sharding.id_leases.leasing import leases  # needs Django, unlike all above

    return leases.share(ms)


def tell() -> None:
    """Say so if there was no lease."""
    from scalekit.db.sharding.id_leases.leasing import leases  # needs Django, unlike all above

    leases.tell()


generator = IdGenerator(shares=leased, tell=tell)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=generator.fork)
