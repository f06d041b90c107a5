from __future__ import annotations

from dataclasses import replace

import pytest

from scalekit.db.monitor.judging import History, fault_of, proven, slowest
from scalekit.db.monitor.reading import observation
from scalekit.db.monitor.sights import Observation, Sight
from scalekit.db.monitor.watching import _kept
from scalekit.db.positions import Position

LSN = 1000


def seen(standby=True, timeline=2, lsn=LSN, system=7, at=0.0, **more):
    more = {"streaming": True, **more} if standby else more
    return Observation(at, 0.001, standby, Position(system, timeline, lsn), **more)


PRIMARY = seen(standby=False)


@pytest.mark.parametrize(
    ("replica", "primary", "lag", "fault"),
    [
        (seen(), PRIMARY, 0, ""),
        (seen(), PRIMARY, 9, ""),
        (seen(), PRIMARY, 11, "lag"),
        (seen(paused=True), PRIMARY, 0, ""),
        (seen(paused=True, lsn=LSN - 1), PRIMARY, 0, "paused"),
        (seen(streaming=False), PRIMARY, 0, "cut off"),
        (seen(timeline=1), PRIMARY, 0, "another timeline"),
        (seen(timeline=1, exact=False), PRIMARY, 0, ""),
        (seen(system=8), PRIMARY, 0, "another cluster"),
        (seen(standby=False), PRIMARY, 0, "promoted"),
        # Without a primary, its replicas are all there is.
        (seen(streaming=False), None, 99, ""),
        (seen(paused=True), None, 99, ""),
        (seen(standby=False), None, 0, "promoted"),
    ],
)
def test_which_replica_is_not_to_be_read_from(replica, primary, lag, fault):
    assert fault_of(replica, primary, lag, 10) == fault


@pytest.mark.parametrize(
    ("was", "replica", "lag", "fault"),
    [
        ("lag", seen(), 99, "lag"),
        ("lag", seen(), 0, ""),
        ("paused", seen(paused=True), 9, "paused"),
        ("paused", seen(), 9, ""),
        ("cut off", seen(streaming=False), 0, ""),
        ("another timeline", seen(), 0, "another timeline"),
        ("hung", seen(), 99, ""),
    ],
)
def test_without_a_primary_who_was_far_behind_stays_out(was, replica, lag, fault):
    assert fault_of(replica, None, lag, 10, was) == fault


def test_one_that_was_out_for_its_lag_comes_back_at_half_of_it():
    assert fault_of(seen(), PRIMARY, 6, 10, was="lag") == "lag"
    assert fault_of(seen(), PRIMARY, 5, 10, was="lag") == ""


def history(*samples):
    found = History()
    for at, lsn in samples:
        found.add(at, Position(7, 2, lsn))
    return found


def test_lag_is_the_age_of_the_oldest_sample_not_replayed():
    busy = history((0, 100), (1, 200), (2, 300), (3, 400))
    assert busy.lag(400) == 0
    assert busy.lag(300) == 0  # the newest sample cannot have arrived yet
    assert busy.lag(299) == 1
    assert busy.lag(100) == 2
    assert busy.lag(0) == 3


def test_an_idle_primary_makes_nobody_lag():
    idle = history(*((at, 100) for at in range(300)))
    assert idle.lag(100) == 0
    assert idle.lag(99) == 299
    assert history().lag(0) == 0


def test_another_timeline_begins_a_new_history():
    switched = history((0, 100), (1, 900))
    switched.add(2, Position(7, 3, 500))
    switched.add(3, Position(7, 3, 510))
    assert switched.lag(500) == 0
    assert switched.lag(100) == 1


@pytest.mark.parametrize(
    ("took", "slow"),
    [
        ({"p": 0.001, "a": 0.001, "b": 0.4}, {"b"}),
        ({"p": 0.4, "a": 0.4, "b": 0.4}, set()),
        ({"p": 0.001, "b": 0.2}, set()),
        ({"p": 0.001, "b": 0.4}, {"b"}),
        ({"b": 0.4}, set()),
    ],
)
def test_slow_is_who_is_slow_beside_the_others(took, slow):
    assert slowest(took) == slow


def test_without_pg_monitor_a_position_is_proven_by_a_later_look_at_the_primary():
    now, before = seen(exact=False, at=1), seen(exact=False, lsn=LSN - 1, at=0)
    later = seen(standby=False, at=1)
    assert proven(now, before, later) == before.position
    assert proven(now, None, later) is None
    assert proven(now, before, None) is None
    assert proven(now, before, seen(standby=False, timeline=3, at=1)) is None
    assert proven(seen(), None, None) == seen().position


def test_what_a_standby_has_shown_stays_true_while_the_primary_is_silent():
    now, known = seen(exact=False), Position(7, seen().position.timeline, LSN - 1)
    assert proven(now, None, None, known) == known
    assert proven(now, None, None, known._replace(lsn=LSN + 1)) is None  # it was restarted
    assert proven(now, None, None, known._replace(timeline=9)) is None
    assert proven(now, None, None, known._replace(system=8)) is None


def test_who_was_asked_meanwhile_is_known_to_be_further_and_never_less():
    sight = Sight(proven=Position(7, 1, 100))
    assert sight.proving(Position(7, 1, 120), 1.0).has(Position(7, 1, 110))
    assert sight.proving(Position(7, 1, 80), 1.0).has(Position(7, 1, 100))


def test_near_is_who_keeps_up_and_may_be_trusted():
    here = Position(7, 2, LSN + 5)
    assert Sight(observed=seen()).is_near(here)
    for far in (
        Sight(),
        Sight("lag", observed=seen()),
        Sight(lag=2, observed=seen()),
        Sight(observed=seen(paused=True)),
        Sight(observed=seen(exact=False)),
        Sight(observed=seen(timeline=1)),
    ):
        assert not far.is_near(here)


def test_a_standby_that_has_replayed_nothing_tells_nothing():
    row = (True, None, False, None, None, 1, True, 7, 8192, 1 << 24)
    with pytest.raises(TypeError):
        observation(row, at=0, took=0)


def test_what_a_request_learned_before_the_probe_counts_no_more():
    before = Sight(proven=Position(7, 1, 100), learned=5.0)
    restarted = Sight(proven=Position(7, 1, 90), observed=seen())  # asked at a later moment
    asked = restarted.observed.at - restarted.observed.took
    assert not _kept(restarted, replace(before, learned=asked - 1)).has(Position(7, 1, 100))
    assert _kept(restarted, replace(before, learned=asked + 1)).has(Position(7, 1, 100))
