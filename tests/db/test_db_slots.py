from __future__ import annotations

import os
import subprocess
import sys
from enum import IntEnum
from uuid import UUID

import pytest

from scalekit.db.exceptions import ShardKeyInvalid
from scalekit.db.sharding.base import stable_hash
from scalekit.db.sharding.slots import Slots

# Rows are stored where these say. They never change.
GOLDEN = {
    0: 3957,
    1: 1910,
    7: 3970,
    -1: 230,
    9_223_372_036_854_775_807: 313,
    "7": 3970,
    "0042": 2170,
    "": 692,
    "ann": 933,
    "Zoë": 2458,
    UUID("12345678-1234-5678-1234-567812345678"): 2013,
}


class Level(IntEnum):
    HIGH = 7


def scheme(shards=("a", "b", "c"), slots=4096):
    return Slots("users", shards=shards, slots=slots)


@pytest.mark.parametrize(("key", "slot"), GOLDEN.items(), ids=repr)
def test_golden_vectors(key, slot):
    assert scheme().slot(key) == slot


def test_the_forms_of_a_key_agree():
    key = UUID("12345678-1234-5678-1234-567812345678")
    assert stable_hash(7) == stable_hash("7") == stable_hash(Level.HIGH)
    for text in (str(key), key.hex, str(UUID("ABCDEFAB-1234-5678-1234-567812345678")).upper()):
        assert stable_hash(UUID(text)) == stable_hash(text)
    assert stable_hash(7) == stable_hash("07") == stable_hash(" 7")
    assert stable_hash(int(key.hex)) == stable_hash(key.hex)


@pytest.mark.parametrize("key", [True, 1.0, None, b"7", (7,)])
def test_other_types_are_refused(key):
    with pytest.raises(ShardKeyInvalid, match="integer, a string or a UUID"):
        stable_hash(key)


@pytest.mark.parametrize("seed", ["0", "1", "99"])
def test_a_key_has_the_same_slot_in_every_process(seed):
    code = "from scalekit.db.sharding.base import stable_hash; print(stable_hash('ann'))"
    out = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        check=True,
    )
    assert int(out.stdout) == stable_hash("ann")


@pytest.mark.parametrize(
    "options",
    [
        {"shards": []},
        {"shards": "shard_0"},
        {"shards": ["a", "a"]},
        {"shards": ["a"], "slots": 1000},
        {"shards": ["a"], "slots": 8192},
        {"shards": ["a"], "slots": 0},
        {"shards": ["a"], "slots": "4096"},
        {"shards": ["a", "b", "c"], "slots": 2},
    ],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(ValueError, match=r"write|names|share"):
        Slots("users", **options)
