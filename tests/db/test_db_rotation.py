from __future__ import annotations

import pytest

from scalekit.db.events import REPLICA_DOWN, REPLICA_UP
from scalekit.db.rotation import Rotation


@pytest.fixture
def rotation(clock):
    return Rotation(clock)


@pytest.fixture
def announced():
    heard = []
    ends = [
        e.subscribe(lambda e, p: heard.append((e.name, p["alias"])))
        for e in (REPLICA_DOWN, REPLICA_UP)
    ]
    yield heard
    for end in ends:
        end()


def test_a_failed_replica_is_left_alone_and_then_tried_once(rotation, clock):
    rotation.down("r", OSError())
    assert not rotation.usable("r")
    assert not rotation.admit("r")
    clock.now += 5
    assert rotation.usable("r")
    assert [rotation.admit("r") for _ in range(5)] == [True, False, False, False, False]
    assert not rotation.usable("r")


def test_a_trial_that_is_never_reported_is_followed_by_another(rotation, clock):
    rotation.down("r", OSError())
    clock.now += 5
    assert rotation.admit("r")
    clock.now += 5
    assert rotation.admit("r")


def test_down_and_up_are_announced_once(rotation, announced):
    rotation.up("r")
    for _ in range(3):
        rotation.down("r", OSError())
    rotation.up("r")
    rotation.up("r")
    assert announced == [("db_replica_down", "r"), ("db_replica_up", "r")]


def test_whom_the_monitor_condemns_is_out_until_it_acquits_them(rotation, clock, announced):
    rotation.judge("r", "lag")
    clock.now += 3600
    assert not rotation.usable("r")
    assert rotation.why("r") == "lag"
    rotation.judge("r", "paused")
    rotation.judge("r", "")
    assert rotation.usable("r")
    assert announced == [("db_replica_down", "r"), ("db_replica_up", "r")]


def test_a_replica_that_lags_answers_whoever_names_it_and_a_hung_one_is_not_asked(rotation):
    rotation.judge("r", "lag")
    assert rotation.admit("r")
    rotation.judge("r", "hung")
    assert not rotation.admit("r")


def test_the_end_of_a_silence_ends_what_reads_have_met_of_it(rotation, announced):
    rotation.down("r", OSError())
    rotation.judge("r", "unreachable")
    rotation.judge("r", "")
    assert rotation.usable("r")
    assert announced == [("db_replica_down", "r"), ("db_replica_up", "r")]


def test_a_failure_that_only_reads_have_met_needs_a_read_to_end(rotation, clock, announced):
    rotation.down("r", OSError())
    rotation.judge("r", "lag")
    rotation.judge("r", "")
    assert not rotation.usable("r")
    clock.now += 5
    assert rotation.admit("r")
    rotation.up("r")
    assert announced == [("db_replica_down", "r"), ("db_replica_up", "r")]
