"""The merge by itself: streams of any cut, NULLs, NaN, directions, repeats."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from scalekit.db.sharding.scatter.sorting import (
    Chunk,
    Order,
    OutOfOrder,
    comparables,
    in_order,
    merged,
    merged_at_once,
    without_repeats,
)

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "order", "expected"),
    [
        ([2, None, 1], Order(), [1, 2, None]),
        ([2, None, 1], Order(nulls_first=True), [None, 1, 2]),
        ([2, None, 1], Order(descending=True), [2, 1, None]),
        ([2, None, 1], Order(descending=True, nulls_first=True), [None, 2, 1]),
        ([1.0, NAN, 3.0], Order(descending=True), [NAN, 3.0, 1.0]),
        ([Decimal("NaN"), Decimal(5)], Order(), [Decimal(5), Decimal("NaN")]),
        (["a", "b"], Order(ranks=lambda found: {"a": 2, "b": 1}), ["b", "a"]),
    ],
)
def test_values_are_compared_as_the_database_does(values, order, expected):
    places = in_order([values], [order])
    assert repr([values[place] for place in places]) == repr(expected)


def random_streams(rng, orders):
    """Return rows of several shards, each sorted, and in chunks of any size."""
    streams = []
    for shard in range(rng.randint(1, 4)):
        rows = [
            (*(rng.choice([None, 1, 2, 3]) for _ in orders), shard, n)
            for n in range(rng.randint(0, 20))
        ]
        places = (
            in_order([list(c) for c in zip(*rows, strict=True)][: len(orders)], orders)
            if rows
            else []
        )
        rows, chunks = [rows[place] for place in places], []
        while rows:
            size = rng.randint(1, 6)
            part, rows = rows[:size], rows[size:]
            chunks.append(Chunk(part, [[row[i] for row in part] for i in range(len(orders))]))
        streams.append(chunks)
    return streams


@pytest.mark.parametrize("seed", range(60))
def test_streams_merge_to_what_sorting_all_of_them_gives(seed):
    rng = random.Random(seed)
    orders = [Order(rng.random() < 0.5, rng.random() < 0.5) for _ in range(rng.randint(1, 2))]
    streams = random_streams(rng, orders)
    rows = [row for chunks in streams for chunk in chunks for row in chunk.rows]
    keys = [comparables([row[i] for row in rows], order) for i, order in enumerate(orders)]
    expected = sorted(zip(*keys, strict=True)) if rows else []
    found = [row for chunk in merged(list(map(iter, streams)), orders) for row in chunk.rows]
    assert sorted(found, key=repr) == sorted(rows, key=repr)
    places = {row: place for place, row in enumerate(rows)}
    assert [tuple(key[places[row]] for key in keys) for row in found] == expected


def test_a_stream_is_read_no_further_than_it_must():
    read = []

    def stream(name, *values):
        for value in values:
            read.append(name)
            yield Chunk([value], [[value]])

    found = merged([stream("a", 1, 2, 3), stream("b", 7, 8, 9)], [Order()])
    assert [chunk.rows for chunk in (next(found), next(found))] == [[1], [2]]
    assert read == ["a", "b", "a"]


def test_ranks_find_out_what_is_not_sorted_by_them():
    chunks = [Chunk(["a"], [["a"]]), Chunk(["b", "c"], [["b", "c"]])]
    turned = Order(ranks=lambda found: {"a": 3, "b": 2, "c": 1})
    with pytest.raises(OutOfOrder) as caught:
        merged_at_once(chunks, [turned])
    assert caught.value.args == (1,)


def test_repeats_are_left_out_across_chunks_null_and_nan_included():
    values = [[None, None, 1.0], [1.0, NAN], [float("nan")]]
    chunks = (Chunk(list(part), [list(part)]) for part in values)
    kept = [row for chunk in without_repeats(chunks, 1) for row in chunk.rows]
    assert repr(kept) == "[None, 1.0, nan]"
