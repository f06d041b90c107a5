from __future__ import annotations

import pytest

from scalekit.queue import pools
from scalekit.queue.pools import PoolTooSmall, check_pools


class Databases(dict):
    """DATABASES of one entry, as `connections` gives it."""

    def __init__(self, **options):
        super().__init__(default=type("Wrapper", (), {"settings_dict": {"OPTIONS": options}}))


@pytest.mark.parametrize(
    ("options", "threads"),
    [
        ({}, 100),
        ({"pool": False}, 100),
        ({"pool": True}, 1),
        ({"pool": {"min_size": 2, "max_size": 11}}, 8),
        ({"pool": {"min_size": 11}}, 8),
    ],
)
def test_pool_that_is_large_enough_is_none_of_our_business(monkeypatch, options, threads):
    monkeypatch.setattr(pools, "connections", Databases(**options))
    check_pools(threads)


@pytest.mark.parametrize(
    ("options", "threads", "remedy"),
    [
        ({"pool": True}, 8, "--threads 1"),
        ({"pool": {"max_size": 10}}, 8, "--threads 7"),
        ({"pool": {"max_size": 10}}, 8, '{"max_size": 11}'),
    ],
)
def test_pool_that_is_too_small_is_refused_with_the_remedy(monkeypatch, options, threads, remedy):
    monkeypatch.setattr(pools, "connections", Databases(**options))
    with pytest.raises(PoolTooSmall) as refusal:
        check_pools(threads)
    assert remedy in str(refusal.value)
