from __future__ import annotations

import pytest

from scalekit.db.routing import Circumstances, choose, nearest
from scalekit.db.topology import Primary, Replica

ONE = Replica("replica_1", "default", zone="a")
TWO = Replica("replica_2", "default", zone="b")
PRIMARY = Primary("default", (ONE, TWO))


def first(replicas):
    return replicas[0]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({}, ("replica_1", "balanced")),
        ({"kept": "replica_2"}, ("replica_2", "kept")),
        ({"kept": "gone"}, ("replica_1", "balanced")),
        ({"in_unit": False}, ("default", "outside requests")),
        ({"in_transaction": True}, ("default", "in transaction")),
        ({"pinned": True}, ("default", "pinned")),
        ({"role": "primary"}, ("default", "using_primary")),
        ({"role": "replica"}, ("replica_1", "balanced")),
        ({"role": "replica", "in_unit": False}, ("replica_1", "balanced")),
        ({"role": "replica", "pinned": True}, ("replica_1", "balanced")),
        ({"role": "replica", "in_transaction": True}, ("default", "in transaction")),
    ],
)
def test_where_a_read_goes(now, expected):
    assert choose(PRIMARY, PRIMARY.replicas, Circumstances(**now), first) == expected


def test_without_replicas_there_is_no_choice():
    assert choose(Primary("x"), (), Circumstances(), first) == ("x", "no replicas")
    assert choose(PRIMARY, (), Circumstances(), first) == ("default", "no replica in rotation")


def test_a_kept_replica_that_left_the_rotation_is_left_too():
    now = Circumstances(kept="replica_1")
    assert choose(PRIMARY, (TWO,), now, first) == ("replica_2", "balanced")


def test_the_nearest_zone_is_preferred_where_it_has_replicas():
    assert nearest((ONE, TWO), "b") == [TWO]
    assert nearest((ONE, TWO), "c") == (ONE, TWO)
    assert nearest((ONE, TWO), "") == (ONE, TWO)
