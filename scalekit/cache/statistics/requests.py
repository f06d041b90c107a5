"""The counts on the server: a hash of numbers and a sorted set of keys for each five minutes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scalekit.cache.stampede.base import Request
from scalekit.cache.statistics.counting import Counts

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator, Sequence

    from scalekit.cache.stampede.scripts import Call

SECONDS = 300  # of one of them
KEPT = 24 * 3600  # seconds
_KEYS = 500  # of the most-read keys in each
_KEYS_SENT = 50  # by one process at a time
_BETWEEN = "\x1f"  # the parts of a field: no name has it


@dataclass(frozen=True, slots=True)
class Share(Request[None]):
    """Add what one process counted to what the others have."""

    place: str
    counts: Counts

    def calls(self) -> Sequence[Call]:
        return [*self._numbers(), ("EXPIRE", self.place, KEPT), *self._keys()]

    def answer(self, results: list[Any]) -> None: ...

    def plainly(self, cache: Any) -> None:
        """Keep them in the process: no other cache of Django adds up hashes."""

    def _numbers(self) -> Iterator[Call]:
        for (function, result), count in self.counts.reads.items():
            yield "HINCRBY", self.place, _BETWEEN.join(("read", function, result)), count
        for (function, outcome), count in self.counts.loads.items():
            yield "HINCRBY", self.place, _BETWEEN.join(("load", function, outcome)), count
        for function, seconds in self.counts.seconds.items():
            yield "HINCRBYFLOAT", self.place, _BETWEEN.join(("seconds", function, "")), seconds

    def _keys(self) -> Iterator[Call]:
        place = keys_place(self.place)
        for key, count in self.counts.keys.most_common(_KEYS_SENT):
            yield "ZINCRBY", place, count, key
        if self.counts.keys:
            yield "ZREMRANGEBYRANK", place, 0, -_KEYS - 1
            yield "EXPIRE", place, KEPT


@dataclass(frozen=True, slots=True)
class Gather(Request[Counts]):
    """Return what all processes counted in these places, together."""

    places: Sequence[str]

    def calls(self) -> Sequence[Call]:
        numbers: list[Call] = [("HGETALL", place) for place in self.places]
        keys = [("ZREVRANGE", keys_place(place), 0, _KEYS, "WITHSCORES") for place in self.places]
        return numbers + keys

    def answer(self, results: list[Any]) -> Counts:
        half = len(self.places)
        counts = Counts()
        for numbers in results[:half]:
            for field, number in _pairs(numbers):
                _add(counts, field, number)
        for keys in results[half:]:
            for key, count in _pairs(keys):
                counts.keys[key] += round(count)
        return counts

    def plainly(self, cache: Any) -> Counts:  # noqa: ARG002 - there is nothing on such a server
        return Counts()


def keys_place(place: str) -> str:
    return f"{place}:keys"


def _add(counts: Counts, field: str, number: float) -> None:
    kind, function, rest = field.split(_BETWEEN)
    if kind == "seconds":
        counts.seconds[function] += number
    else:
        into: Counter[tuple[str, str]] = counts.reads if kind == "read" else counts.loads
        into[function, rest] += round(number)


def _pairs(answer: Any) -> Iterator[tuple[str, float]]:
    """Yield the pairs of a hash or sorted set, in whichever shape the protocol and the client give them."""
    items: Iterable[Any] = answer.items() if isinstance(answer, dict) else answer
    items = list(items)
    if items and not isinstance(items[0], (list, tuple)):
        items = zip(items[::2], items[1::2], strict=True)
    for name, number in items:
        yield (name.decode() if isinstance(name, bytes) else name), float(number)
