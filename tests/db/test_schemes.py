from __future__ import annotations

import multiprocessing
from collections import Counter
from enum import Enum
from uuid import UUID

import pytest

from scalekit.db.exceptions import KeyDecides, KeyUnassigned, ShardKeyInvalid
from scalekit.db.sharding.directory import Directory
from scalekit.db.sharding.jump import Jump, jump
from scalekit.db.sharding.mapping.slot_map import SlotMap
from scalekit.db.sharding.modulo import Modulo
from scalekit.db.sharding.ranges import Ranges
from scalekit.db.sharding.ring import Ring
from scalekit.db.sharding.slots import Slots
from scalekit.testing.sharding import ShardingSchemeContract

ABC = ["a", "b", "c"]


class TestSlots(ShardingSchemeContract):
    scheme_class = Slots


class TestModulo(ShardingSchemeContract):
    scheme_class = Modulo


class TestRing(ShardingSchemeContract):
    scheme_class = Ring


class TestJump(ShardingSchemeContract):
    scheme_class = Jump


class TestRanges(ShardingSchemeContract):
    scheme_class = Ranges
    options = {"boundaries": [0, 1000]}
    keys = (-1, 0, 999, 1000, 2**63 - 1)
    evenness = None


class Everywhere:
    """A store that has a shard for every key."""

    def shard_of(self, text):
        return f"shard_{len(text) % 3}"


class Assigned(Directory):
    def __init__(self, alias, **options):
        super().__init__(alias, **options)
        self.stored_keys = Everywhere()

    def __setstate__(self, state):
        self.__dict__ = {**state, "stored_keys": Everywhere()}


class TestDirectory(ShardingSchemeContract):
    scheme_class = Assigned
    evenness = None


def moved(before, after, keys=20_000):
    """The share of keys that lie elsewhere, and whether each went to a shard that is new."""
    pairs = [(before.shard_for(key), after.shard_for(key)) for key in range(keys)]
    new = {alias for was, alias in pairs if was != alias}
    return sum(was != alias for was, alias in pairs) / keys, new


def of(number):
    return [f"shard_{i}" for i in range(number)]


@pytest.mark.parametrize("scheme", [Ring, Jump])
def test_a_shard_more_takes_its_share_and_nothing_else_moves(scheme):
    share, new = moved(scheme("g", shards=of(16)), scheme("g", shards=of(17)))
    assert share == pytest.approx(1 / 17, rel=0.35)
    assert new == {"shard_16"}


def test_a_ring_may_lose_any_shard():
    without = [alias for alias in of(8) if alias != "shard_3"]
    before, after = Ring("g", shards=of(8)), Ring("g", shards=without)
    pairs = [(before.shard_for(key), after.shard_for(key)) for key in range(5000)]
    assert {was for was, alias in pairs if was != alias} == {"shard_3"}


@pytest.mark.parametrize(
    ("number", "buckets", "bucket"),
    [(1, 1, 0), (42, 57, 43), (0xDEAD10CC, 1, 0), (0xDEAD10CC, 666, 361), (256, 1024, 520)],
)
def test_jump_is_that_of_other_languages(number, buckets, bucket):
    assert jump(number, buckets) == bucket


@pytest.mark.parametrize("scheme", [Slots, Ring])
def test_weights_hold(scheme):
    weighted = scheme("g", shards=ABC, weights={"b": 2})
    keys = Counter(weighted.shard_for(key) for key in range(10_000))
    assert keys["b"] == pytest.approx(5_000, rel=0.15)


def test_slots_of_equal_weight_are_contiguous_and_equal():
    scheme = Slots("g", shards=ABC)
    owners = [scheme.shard_for_slot(slot) for slot in range(4096)]
    assert owners == sorted(owners)
    assert sorted(Counter(owners).values()) == [1365, 1365, 1366]


def test_the_stored_map_decides_not_the_setting():
    scheme = Slots("g", shards=["b", "a"], slots=4)
    scheme.stored = lambda: SlotMap(3, ("a", "a", "b", "b"))
    assert [scheme.shard_for_slot(slot) for slot in range(4)] == ["a", "a", "b", "b"]


def test_a_key_may_have_a_shard_of_its_own():
    scheme = Slots("g", shards=ABC)
    known = SlotMap(2, ("a",) * 4096, {"7": "c"})
    scheme.stored = lambda: known
    assert (scheme.shard_for(7), scheme.shard_for("07"), scheme.shard_for(8)) == ("c", "c", "a")
    assert scheme.shards_for_slot(scheme.slot(7)) == ("a", "c")
    assert scheme.shards_for_slot(scheme.slot(8)) == ("a",)


def test_a_member_of_an_enumeration_is_its_value():
    class Region(str, Enum):  # noqa: UP042 - one whose text is not its value
        EU = "eu"

    scheme = Slots("g", shards=ABC)
    assert scheme.slot(Region.EU) == scheme.slot("eu")


def test_ranges_place_by_the_key():
    scheme = Ranges("g", shards=ABC, boundaries=[10, 100])
    assert [scheme.shard_for(key) for key in (-5, 9, 10, "99", 100, 2**62)] == [*"aabbcc"]
    with pytest.raises(ShardKeyInvalid, match="ranges of int"):
        scheme.shard_for("ann")


def test_ranges_of_text_and_of_uuids():
    by_name = Ranges("g", shards=ABC, boundaries=["h", "p"])
    assert [by_name.shard_for(name) for name in ("ann", "h", "zoe")] == ABC
    by_id = Ranges("g", shards=["a", "b"], boundaries=[UUID(int=2**64)])
    assert [by_id.shard_for(UUID(int=n)) for n in (1, 2**64)] == ["a", "b"]


def test_a_keyed_scheme_has_no_shard_for_a_slot():
    scheme = Ranges("g", shards=ABC, boundaries=[10, 100])
    assert set(scheme.shards_for_slot(0)) == set(ABC)
    with pytest.raises(KeyDecides, match="'g'"):
        scheme.shard_for_slot(0)


def test_a_directory_refuses_a_key_that_nobody_assigned():
    with pytest.raises(KeyUnassigned, match="shard_map assign g --key 7"):
        Directory("g", shards=ABC).shard_for(7)


@pytest.mark.parametrize(
    ("scheme", "options", "told"),
    [
        (Slots, {"slots": 1000}, "power of two"),
        (Slots, {"slots": 8192}, "power of two"),
        (Slots, {"slots": 2}, "more slots"),
        (Slots, {"weights": {"d": 2}}, "'d', which is not in shards: a, b, c"),
        (Slots, {"weights": {"a": 0}}, "whole number from 1"),
        (Slots, {"weights": 3}, 'write {"a": 2}'),
        (Slots, {"slots": 4, "weights": {"a": 9}}, "write lower ones"),
        (Slots, {"starts_on": "a"}, "starts_on"),
        (Slots, {"starts_on": "elsewhere"}, "write 'default'"),
        (Ring, {"vnodes": 0}, "whole number from 1"),
        (Ring, {"vnodes": True}, "whole number from 1"),
        (Ranges, {"boundaries": []}, "all of one kind"),
        (Ranges, {"boundaries": [1, "a"]}, "all of one kind"),
        (Ranges, {"boundaries": "ab"}, "all of one kind"),
        (Ranges, {"boundaries": [2, 1]}, "in order"),
        (Ranges, {"boundaries": [1, 1]}, "in order"),
        (Ranges, {"boundaries": ["007"]}, r"\['7'\]"),
        (Directory, {"new_keys": "any"}, "refuse, least_filled"),
    ],
)
def test_wrong_options_say_what_to_write(scheme, options, told):
    with pytest.raises(ValueError, match=told):
        scheme("g", shards=ABC, **options)


def answer(scheme, pipe):
    pipe.send([scheme.shard_for(key) for key in range(50)])


@pytest.mark.filterwarnings(
    "ignore:This process:DeprecationWarning"
)  # forking beside threads, on purpose
def test_a_fork_gives_the_same_answers():
    scheme = Ring("g", shards=ABC)
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=answer, args=(scheme, there))
    child.start()
    assert here.recv() == [scheme.shard_for(key) for key in range(50)]
    child.join()
