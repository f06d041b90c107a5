"""The keys that are seen most, in bounded memory. Free of Django."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from threading import Lock
from time import time
from typing import TYPE_CHECKING, Any

from scalekit.db.sharding.keys import canonical_text

if TYPE_CHECKING:
    from collections.abc import Sequence

COUNTERS = 1000
WAITING = 4096  # sightings that wait to be counted together, which is quicker than one by one
LONGEST = 255
FRESH = 8 * COUNTERS  # keys that are counted exactly before they are merged with those of before


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

    def __init__(self, counters: int = COUNTERS, fresh: int = FRESH) -> None:
        self.counters, self.total = counters, 0
        self._size = fresh
        self._counts: dict[Any, int] = {}
        self._errors: dict[Any, int] = {}
        self._floor = 0  # how often a key that has no counter may have been seen
        self._fresh: Counter[Any] = Counter()

    def __len__(self) -> int:
        return len(self._counts) + len(self._fresh)

    def add(self, keys: Sequence[Any]) -> None:
        """Count keys, as often as they stand there."""
        self.total += len(keys)
        self._fresh.update(keys)
        if len(self._fresh) >= self._size:
            self._merge()

    def top(self, number: int | None = None) -> list[Sighting]:
        """Return the keys seen most, most often first, each under the one text of its spellings."""
        self._merge()
        counts, errors = Counter[str](), Counter[str]()
        for key, count in self._counts.items():
            text = canonical_text(key)
            counts[text] += count
            errors[text] += self._errors[key]
        return [Sighting(text, count, errors[text]) for text, count in counts.most_common(number)]

    def _merge(self) -> None:
        """Give what was counted exactly the counters of the keys that were seen least."""
        floor, before, fresh = self._floor, self._counts, self._fresh
        counts = {key: floor + seen for key, seen in fresh.items()}
        for key, seen in before.items():
            counts[key] = seen + fresh.get(key, 0)
        if len(counts) > self.counters:
            self._floor = sorted(counts.values(), reverse=True)[self.counters]
            counts = {key: seen for key, seen in counts.items() if seen > self._floor}
        self._errors = {key: self._errors.get(key, floor) for key in counts}
        self._counts, self._fresh = counts, Counter()


@dataclass(frozen=True, slots=True)
class Window:
    """What was seen of one group between two times, in seconds since 1970."""

    group: str
    began: float
    ended: float
    total: int
    keys: list[Sighting]


class Recorder:
    """The counts of this process, by shard group."""

    def __init__(self) -> None:
        self.fork()

    def fork(self) -> None:
        """Begin anew in a child process: the parent's counts are the parent's."""
        self._lock = Lock()
        self._waiting: dict[str, list[Any]] = {}
        self._groups: dict[str, TopKeys] = {}
        self._began = time()

    def seen(self, group: str, key: Any) -> None:
        """Note that a key was looked up. A list grows in one step, so threads need no lock here.

        Text above 255 characters is not counted: what visitors type must not fill the memory.
        """
        if type(key) is str and len(key) > LONGEST:
            return
        waiting = self._waiting.get(group)
        if waiting is None:
            waiting = self._waiting.setdefault(group, [])
        waiting.append(key)
        if len(waiting) >= WAITING:
            self._count(group)

    def close_window(self, keys: int) -> list[Window]:
        """Return what this window saw, with as many of its keys, and begin the next."""
        for group in list(self._waiting):
            self._count(group)
        with self._lock:
            groups, self._groups = self._groups, {}
            began, self._began = self._began, time()
        return [
            Window(group, began, self._began, top.total, top.top(keys))
            for group, top in groups.items()
        ]

    def size(self) -> int:
        """Return how many keys are held."""
        return sum(map(len, self._waiting.values())) + sum(map(len, self._groups.values()))

    def _count(self, group: str) -> None:
        """Count what waits. A thread that is just about to add to the list may be left out of the count."""
        with self._lock:
            waiting = self._waiting.pop(group, [])
            if waiting:
                self._groups.setdefault(group, TopKeys()).add(waiting)
