"""The keys that are seen most, in bounded memory. Free of Django."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from threading import Lock
from time import time
from typing import TYPE_CHECKING, Any

from scalekit.db.sharding.keys import canonical_text

if TYPE_CHECKING:
    from collections.abc import Mapping

COUNTERS = 1000
PENDING = 4096  # sightings that wait to be counted together, which is quicker than one by one


@dataclass(frozen=True, slots=True)
class Sighting:
    """A key, how often it was seen at most, and how many of these may be other keys'."""

    key: str
    count: int
    error: int


class TopKeys:
    """Space-saving (Metwally, Agrawal and El Abbadi 2005), fed in batches as summaries are merged.

    With k counters and n sightings, every key seen more than n/k times is among them, and no count is too high
    by more than n/k (Agarwal et al. 2012, "Mergeable Summaries").
    """

    def __init__(self, counters: int = COUNTERS) -> None:
        self.counters, self.total = counters, 0
        self._counts: dict[str, int] = {}
        self._errors: dict[str, int] = {}
        self._floor = 0  # how often a key that is not counted may have been seen

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, batch: Mapping[str, int]) -> None:
        """Count how often each key was seen."""
        counts, errors, floor = self._counts, self._errors, self._floor
        for key, seen in batch.items():
            self.total += seen
            if key in counts:
                counts[key] += seen
            else:
                counts[key] = floor + seen
                errors[key] = floor
        if len(counts) > self.counters:
            self._drop()

    def top(self, number: int | None = None) -> list[Sighting]:
        """Return the keys seen most, most often first."""
        ranked = sorted(self._counts.items(), key=lambda item: -item[1])[:number]
        return [Sighting(key, count, self._errors[key]) for key, count in ranked]

    def _drop(self) -> None:
        ranked = sorted(self._counts.values(), reverse=True)
        self._floor = ranked[self.counters]
        self._counts = {key: count for key, count in self._counts.items() if count > self._floor}
        self._errors = {key: self._errors[key] for key in self._counts}


@dataclass(frozen=True, slots=True)
class Window:
    """What was seen of one group between two times, in seconds since 1970."""

    group: str
    began: float
    ended: float
    total: int
    keys: list[Sighting]

    def hottest(self) -> Sighting | None:
        return self.keys[0] if self.keys else None


class Recorder:
    """The counts of this process, by shard group."""

    def __init__(self) -> None:
        self.fork()

    def fork(self) -> None:
        """Begin anew in a child process: the parent's counts are the parent's."""
        self._lock = Lock()
        self._pending: deque[tuple[str, Any]] = deque()
        self._groups: dict[str, TopKeys] = {}
        self._began = time()

    def seen(self, group: str, key: Any) -> None:
        """Note that a key was looked up. Appending is atomic, so threads need no lock here."""
        pending = self._pending
        pending.append((group, key))
        if len(pending) >= PENDING:
            self._count()

    def close_window(self, keys: int) -> list[Window]:
        """Return what this window saw, with as many of its keys, and begin the next."""
        self._count()
        with self._lock:
            groups, self._groups = self._groups, {}
            began, self._began = self._began, time()
        return [
            Window(group, began, self._began, top.total, top.top(keys))
            for group, top in groups.items()
        ]

    def size(self) -> int:
        """Return how many keys are held."""
        return len(self._pending) + sum(len(top) for top in self._groups.values())

    def _count(self) -> None:
        with self._lock:
            waiting = [self._pending.popleft() for _ in range(len(self._pending))]
            for group, batch in _by_group(waiting).items():
                self._groups.setdefault(group, TopKeys()).add(batch)


def _by_group(waiting: list[tuple[str, Any]]) -> dict[str, Counter[str]]:
    """Count each key once as it came, then under the one text of all its forms."""
    found: dict[str, Counter[str]] = {}
    for (group, key), times in Counter(waiting).items():
        found.setdefault(group, Counter())[canonical_text(key)] += times
    return found
