"""Merge sorted answers into one: pure, and in C where Python has it.

Sorting what is a few sorted runs already takes Python's sort little more than one comparison a row
(Timsort, https://github.com/python/cpython/blob/main/Objects/listsort.txt), against a function call a row
for `heapq.merge`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate, chain, repeat
from operator import neg
from typing import Any, TypeAlias

Ranks: TypeAlias = Callable[[set[Any]], Mapping[Any, int]]

MAY_BE_NAN = {float, Decimal}
NUMBERS, NOTHING = {int, bool}, type(None)


@dataclass(frozen=True, slots=True)
class Order:
    """How the values of one column are sorted. `ranks` knows better than Python which comes first."""

    descending: bool = False
    nulls_first: bool = False
    ranks: Ranks | None = None


@dataclass(slots=True)
class Chunk:
    """Rows of one shard, in order, and by column what they are sorted by."""

    rows: list[Any]
    columns: list[list[Any]]

    def taken(self, places: Sequence[int], width: int) -> Chunk:
        """Return the rows at these places, in this order, with the first `width` columns."""
        columns = [list(map(column.__getitem__, places)) for column in self.columns[:width]]
        return Chunk(list(map(self.rows.__getitem__, places)), columns)

    def without_first(self, count: int) -> Chunk:
        return Chunk(self.rows[count:], [column[count:] for column in self.columns])


class OutOfOrder(Exception):
    """A stream is not sorted as the others are; its place is the argument."""


def comparables(values: list[Any], order: Order) -> list[Any]:
    """Return what Python may compare to get the order of a column."""
    kinds = set(map(type, values))
    if order.ranks is None and NOTHING not in kinds:
        if kinds <= NUMBERS:
            return list(map(neg, values)) if order.descending else values
        if not order.descending and not kinds & MAY_BE_NAN:
            return values
    ranks = _ranked({v for v in values if v is not None and v == v}, order)  # noqa: PLR0124 - NaN
    # PostgreSQL puts NaN above every number, in float8 and in numeric.
    nan = len(ranks)
    null = -nan - 2 if order.nulls_first else nan + 2
    sign = -1 if order.descending else 1
    return [
        null if v is None else sign * ranks[v] if v == v else sign * nan  # noqa: PLR0124 - NaN
        for v in values
    ]


def _ranked(distinct: set[Any], order: Order) -> Mapping[Any, int]:
    if order.ranks is not None:
        return order.ranks(distinct)
    return {value: place for place, value in enumerate(sorted(distinct))}


def in_order(columns: Sequence[list[Any]], orders: Sequence[Order]) -> list[int]:
    """Return the places of all rows, sorted; rows that are equal keep their order."""
    keys: list[list[Any]] = []
    for column, order in zip(columns, orders, strict=True):
        keys.append(comparables(column, order))
        if len(set(keys[-1])) == len(column):
            break  # no two are equal, so nothing further decides
    rows: Sequence[Any] = keys[0] if len(keys) == 1 else list(zip(*keys, strict=True))
    return sorted(range(len(rows)), key=rows.__getitem__)


def merged(
    streams: Sequence[Iterator[Chunk]], orders: Sequence[Order], width: int = 0
) -> Iterator[Chunk]:
    """Merge sorted streams, holding one chunk of each. Raises `OutOfOrder` where ranks find one unsorted.

    What may be given out is all that comes before the end of every chunk: what a stream has yet to give
    comes after that. The first `width` columns are given with the rows.
    """
    held: dict[int, Chunk] = {}
    going = dict(enumerate(streams))
    while True:
        for place, stream in list(going.items()):
            if place not in held:
                _refill(held, going, place, stream)
        if not held:
            return
        if len(held) == 1:  # sorted by its shard, and nobody comes between
            yield held.popitem()[1]
        else:
            yield _next_part(held, going, orders, width)


def merged_at_once(chunks: Sequence[Chunk], orders: Sequence[Order], width: int = 0) -> Chunk:
    """Merge answers that are whole. Raises `OutOfOrder` where ranks find one unsorted."""
    whole = _joined(chunks)
    order = in_order(whole.columns, orders)
    if any(o.ranks is not None for o in orders):
        _check_sorted(order, _owners(dict(enumerate(chunks))))
    return whole.taken(order, width)


def _refill(
    held: dict[int, Chunk], going: dict[int, Iterator[Chunk]], place: int, stream: Iterator[Chunk]
) -> None:
    for chunk in stream:
        if chunk.rows:
            held[place] = chunk
            return
    del going[place]


def _next_part(
    held: dict[int, Chunk], going: Mapping[int, Any], orders: Sequence[Order], width: int
) -> Chunk:
    """Take out of what is held all that nothing still to come may precede."""
    owners, whole = _owners(held), _joined(list(held.values()))
    order = in_order(whole.columns, orders)
    if any(o.ranks is not None for o in orders):
        _check_sorted(order, owners)
    ends = zip(held, accumulate(len(chunk.rows) for chunk in held.values()), strict=True)
    lasts = [order.index(end - 1) for place, end in ends if place in going]
    given = order[: min(lasts, default=len(order) - 1) + 1]
    _keep_rest(held, Counter(map(owners.__getitem__, given)))
    return whole.taken(given, width)


def _joined(chunks: Sequence[Chunk]) -> Chunk:
    rows = list(chain.from_iterable(chunk.rows for chunk in chunks))
    columns = zip(*(chunk.columns for chunk in chunks), strict=True)
    return Chunk(rows, [list(chain.from_iterable(parts)) for parts in columns])


def _owners(held: Mapping[int, Chunk]) -> list[int]:
    """Return for each row of all chunks, one after the other, whose it is."""
    return list(chain.from_iterable(repeat(p, len(chunk.rows)) for p, chunk in held.items()))


def _keep_rest(held: dict[int, Chunk], used: Mapping[int, int]) -> None:
    for place, chunk in list(held.items()):
        rest = chunk.without_first(used[place])
        if rest.rows:
            held[place] = rest
        else:
            del held[place]


def _check_sorted(order: list[int], owners: list[int]) -> None:
    before: dict[int, int] = {}
    for i in order:
        owner = owners[i]
        if before.get(owner, -1) > i:
            raise OutOfOrder(owner)
        before[owner] = i


def without_repeats(chunks: Iterable[Chunk], width: int) -> Iterator[Chunk]:
    """Leave out rows whose first `width` columns repeat those of the row before, NULL and NaN included."""
    before: tuple[Any, ...] | None = None
    for chunk in chunks:
        kept = []
        for i, key in enumerate(zip(*chunk.columns[:width], strict=True)):
            if before is None or not _same(before, key):
                kept.append(i)
            before = key
        yield chunk.taken(kept, width)


def _same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return one == other or all(
        a == b or (a != a and b != b)  # noqa: PLR0124 - NaN
        for a, b in zip(one, other, strict=True)
    )
