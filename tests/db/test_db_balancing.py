from __future__ import annotations

from collections import Counter

import pytest

from scalekit.db.balancing.least_lag import LeastLag
from scalekit.db.balancing.round_robin import RoundRobin
from scalekit.db.balancing.weighted import Weighted, interleave
from scalekit.db.monitor.sights import Sight
from scalekit.db.monitor.watching import monitor
from scalekit.db.topology import Replica


def replicas(*weights):
    return [Replica(f"r{i}", "default", weight) for i, weight in enumerate(weights)]


def counted(balancer, servers, reads=12_000):
    return Counter(balancer.choose(servers).alias for _ in range(reads))


def test_round_robin_gives_each_its_turn():
    assert set(counted(RoundRobin("default"), replicas(1, 5, 1)).values()) == {4000}


@pytest.mark.parametrize("weights", [(1,), (1, 1), (1, 3), (5, 2, 1)])
def test_weights_hold_within_two_percent(weights):
    shares = counted(Weighted("default"), replicas(*weights))
    for i, weight in enumerate(weights):
        assert shares[f"r{i}"] / 12_000 == pytest.approx(weight / sum(weights), rel=0.02)


def test_turns_are_interleaved_and_not_in_blocks():
    assert interleave((3, 1)) == (0, 0, 1, 0)


def test_least_lag_reads_from_those_that_lag_least(monkeypatch):
    lags = {"r0": 0.0, "r1": 4.0, "r2": 0.5}
    sights = {alias: Sight(lag=lag) for alias, lag in lags.items()}
    monkeypatch.setattr(monitor, "sights", sights)
    assert set(counted(LeastLag("default"), replicas(1, 1, 1), 100)) == {"r0", "r2"}
    assert set(counted(LeastLag("default", tolerance=0.1), replicas(1, 1, 1), 100)) == {"r0"}
