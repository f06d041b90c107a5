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
        ({"unsafe": True}, "unsafe method"),
        ({"role": "replica", "unsafe": True}, ""),
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
    ("usable", "kept", "caught_up", "expected"),
    [
        ((ONE, TWO), None, None, ("replica_1", "balanced")),
        ((ONE, TWO), "replica_2", None, ("replica_2", "kept")),
        ((TWO,), "replica_1", None, ("replica_2", "balanced")),
        ((), "replica_1", None, ("default", "no replica in rotation")),
        ((ONE, TWO), None, (TWO,), ("replica_2", "caught up")),
        ((ONE, TWO), "replica_2", (ONE,), ("replica_2", "kept")),
        ((ONE, TWO), "default", (ONE,), ("default", "kept")),
        ((ONE, TWO), None, (), ("default", "pinned")),
        ((), None, (), ("default", "no replica in rotation")),
    ],
)
def test_which_server_answers(usable, kept, caught_up, expected):
    assert choose(PRIMARY, usable, kept, first, caught_up) == expected


def test_the_nearest_zone_is_preferred_where_it_has_replicas():
    assert nearest((ONE, TWO), "b") == [TWO]
    assert nearest((ONE, TWO), "c") == (ONE, TWO)
    assert nearest((ONE, TWO), "") == (ONE, TWO)
