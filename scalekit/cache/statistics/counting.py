"""Counting reads and loads as they are announced, for little more than an append. Free of Django."""

from __future__ import annotations

import os
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Read = tuple[str, str, str | None]

_PENDING = 4096  # events that wait to be counted, together, which is quicker than one by one
_KEYS = 512  # of the keys that were read, those read most are remembered from turn to turn
_NEAR = 16
_FUNCTIONS = 1000  # names of functions; they come from the code, so that there are never so many


@dataclass(slots=True)
class Counts:
    """What happened in a while: reads by function and result, loads by function, and the keys read most."""

    reads: Counter[tuple[str, str]] = field(default_factory=Counter)
    loads: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    keys: Counter[str] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        return bool(self.reads or self.loads)


class Recorder:
    """The counts of this process. `begin` is called at the first read after a `take`."""

    def __init__(self, begin: Callable[[], None]) -> None:
        self._begin = begin
        self._reset()
        os.register_at_fork(after_in_child=self._reset)  # the parent's counts are the parent's

    def _reset(self) -> None:
        self._lock = Lock()
        self._reads: deque[Read] = deque()
        self._counts = Counts()
        self._near = count()
        self.begun = False

    def read(self, _: object, payload: Mapping[str, Any]) -> None:
        """Note one read, of which an event tells; appending is atomic, so that threads need no lock here.

        Of hits in the process's own tier (they have no key) one in so many is noted, for all of them: each
        takes hardly more time than noting it.
        """
        function, result, key = payload["function"], payload["result"], payload["key"]
        reads = self._reads
        if key is not None or result != "hit":
            reads.append((function, result, key))
        elif next(self._near) % _NEAR:
            return
        else:
            reads.extend([(function, result, None)] * _NEAR)
        if not self.begun:
            self.begun = True
            self._begin()
        if len(reads) >= _PENDING:
            self._count()

    def loaded(self, _: object, payload: Mapping[str, Any]) -> None:
        """Note one load."""
        function = payload["function"]
        with self._lock:
            self._counts.loads[function, payload["outcome"]] += 1
            self._counts.seconds[function] += payload["seconds"]

    def take(self) -> Counts:
        """Return what was counted since the last time, and begin anew."""
        self.begun = False
        self._count()
        with self._lock:
            taken, self._counts = self._counts, Counts()
        return taken

    def give_back(self, counts: Counts) -> None:
        """Count again what could not be shared."""
        with self._lock:
            for name in ("reads", "loads", "keys"):
                getattr(self._counts, name).update(getattr(counts, name))
            for function, seconds in counts.seconds.items():
                self._counts.seconds[function] += seconds
            self._prune()

    def _count(self) -> None:
        with self._lock:
            pending = [self._reads.popleft() for _ in range(len(self._reads))]
            counts = self._counts
            counts.reads.update((function, result) for function, result, _ in pending)
            counts.keys.update(key for _, _, key in pending if key is not None)
            self._prune()

    def _prune(self) -> None:
        counts = self._counts
        if len(counts.keys) > _KEYS * 2:
            counts.keys = Counter(dict(counts.keys.most_common(_KEYS)))
        if len(counts.reads) > _FUNCTIONS:
            counts.reads = Counter(dict(counts.reads.most_common(_FUNCTIONS)))
