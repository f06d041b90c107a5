from __future__ import annotations

import pytest

from scalekit.core.networks import are_networks, came_from


@pytest.mark.parametrize(
    ("values", "good"),
    [
        ([], True),
        (["10.0.0.0/8", "::1", "192.168.1.7/24"], True),
        (["10.0.0.0/64"], False),
        (["localhost"], False),
        ([7], False),
        ([None], False),
    ],
)
def test_what_is_a_network(values, good):
    assert are_networks(values) is good


def test_without_networks_nobody_comes_from_one(rf):
    assert came_from(rf.get("/"), []) is False
    assert came_from(rf.get("/"), ["127.0.0.1"]) is True
