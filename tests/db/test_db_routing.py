from __future__ import annotations

import pytest

from scalekit.db.routing import choose, nearest, why_primary
from scalekit.db.topology import Primary, Replica

ONE = Replica("replica_1", "default", zone="a")
TWO = Replica("replica_2", "default", zone="b")
PRIMARY = Primary("default", (ONE, TWO))


def first(primary, replicas):
    return replicas[0]


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        ({}, ""),
        ({"in_unit": False}, "outside requests"),
        ({"in_transaction": True}, "in transaction"),
        ({"pinned": True}, "pinned"),
        ({"role": "primary"}, "using_primary"),
        ({"role": "replica"}, ""),
        ({"role": "replica", "in_unit": False}, ""),
        ({"role": "replica", "pinned": True}, ""),
        ({"role": "replica", "in_transaction": True}, "in transaction"),
    ],
)
def test_when_a_read_must_go_to_the_primary(now, reason):
    usual = {"role": "", "in_unit": True, "in_transaction": False, "pinned": False}
    assert why_primary(**{**usual, **now}) == reason


@pytest.mark.parametrize(
    ("usable", "kept", "expected"),
    [
        ((ONE, TWO), None, ("replica_1", "balanced")),
        ((ONE, TWO), "replica_2", ("replica_2", "kept")),
        ((TWO,), "replica_1", ("replica_2", "balanced")),
        ((), "replica_1", ("default", "no replica in rotation")),
    ],
)
def test_which_replica_answers(usable, kept, expected):
    assert choose(PRIMARY, usable, kept, first) == expected


def test_the_nearest_zone_is_preferred_where_it_has_replicas():
    assert nearest((ONE, TWO), "b") == [TWO]
    assert nearest((ONE, TWO), "c") == (ONE, TWO)
    assert nearest((ONE, TWO), "") == (ONE, TWO)
