from __future__ import annotations

from itertools import pairwise

import pytest

from scalekit.queue.scaling import Load, Policy, Scale, decide

POLICY = Policy(minimum=1, maximum=4, threads=8, target=5, cooldown=60)


@pytest.mark.parametrize(
    ("processes", "load", "wanted", "why"),
    [
        (1, Load(waited=9, waiting=500, running=8), 2, "late and full: twice as many"),
        (2, Load(waited=9, waiting=500, running=16), 4, "late and full: twice as many again"),
        (4, Load(waited=9, waiting=500, running=32), 4, "never above the maximum"),
        (3, Load(waited=9, waiting=500, running=24), 4, "a step is cut at the maximum"),
        (1, Load(waited=4.9, waiting=500, running=8), 1, "the target is kept"),
        (1, Load(waited=0.5, waiting=500, running=8, rate=50), 1, "others may help to run them"),
        (1, Load(waited=None, waiting=500, running=8, rate=50), 2, "500 at 50/s will wait 10 s"),
        (1, Load(waited=None, waiting=200, running=8, rate=50), 1, "200 at 50/s will wait 4 s"),
        (1, Load(waited=None, waiting=500, running=8), 1, "nothing is known but that some wait"),
        (2, Load(waited=9, waiting=8, running=16), 3, "8 more jobs fill one more process"),
        (1, Load(waited=9, waiting=2, running=3), 1, "threads are free: more would not help"),
        (1, Load(waited=9, waiting=500, running=8, starting=1), 1, "one is on its way"),
        (2, Load(waited=9, waiting=500, running=9, cpu=1.9, cores=2), 2, "no core is left"),
        (2, Load(waited=9, waiting=500, running=9, cpu=1.5, cores=2), 4, "a core is left"),
        (2, Load(waited=None), 2, "one calm look is not enough to shrink"),
        (0, Load(), 1, "never below the minimum"),
    ],
)
def test_one_look(processes, load, wanted, why):
    assert decide(Scale(processes), load, POLICY, now=100.0).processes == wanted, why


def watch(state, seconds, load, policy=POLICY, begin=0):
    """Decide once a second, and return the number of processes after each look."""
    history = []
    for second in range(seconds):
        state = decide(state, load, policy, now=float(begin + second))
        history.append(state.processes)
    return state, history


def settled(processes, load, policy=POLICY):
    """Return a state that has seen `load` for a cooldown."""
    return watch(Scale(processes), 61, load, policy)[0]


FULL = Load(waited=9, waiting=500, running=32)
IDLE = Load(waited=0, waiting=0, running=0)


def test_it_shrinks_after_the_cooldown_and_not_before():
    _, history = watch(settled(4, FULL), 70, IDLE, begin=61)
    assert history[:59] == [4] * 59
    assert history[60:] == [1] * 10


def test_one_busy_look_in_a_calm_minute_puts_the_shrinking_off():
    state, _ = watch(settled(4, FULL), 50, IDLE, begin=61)
    state, _ = watch(state, 1, FULL, begin=111)
    _, history = watch(state, 59, IDLE, begin=112)
    assert set(history) == {4}


@pytest.mark.parametrize(
    ("load", "wanted"),
    [
        (Load(waited=0, running=4), 1),
        (Load(waited=0, running=7), 2),  # 7 of 8 threads is more than a process is planned for
        (Load(waited=0, running=14), 3),
        (Load(waited=0, running=2, cpu=1.2), 2),  # no process uses much more than a core
        (Load(waited=3, waiting=9, running=4), 4),  # jobs do wait: stay
    ],
)
def test_it_shrinks_to_what_the_work_needs(load, wanted):
    assert settled(4, load).processes == wanted


def test_minimum_is_kept_when_idle():
    policy = Policy(minimum=2, maximum=4, threads=8, target=5, cooldown=60)
    assert settled(4, IDLE, policy).processes == 2


def test_unseen_load_changes_nothing_and_delays_shrinking():
    state, history = watch(settled(4, FULL), 100, None, begin=61)
    assert set(history) == {4}
    _, history = watch(state, 59, IDLE, begin=161)
    assert set(history) == {4}


def test_load_at_the_border_does_not_flap():
    """Ten threads' worth of work: too much for one process, little for two."""
    state, history, waited = Scale(1), [], 0.0
    for second in range(600):
        overloaded = 8 * state.processes < 10
        waited = waited + 1 if overloaded else 0.0
        running = min(10, 8 * state.processes)
        load = Load(waited=waited, waiting=50 if overloaded else 0, running=running)
        state = decide(state, load, POLICY, now=float(second))
        history.append(state.processes)
    changes = [b - a for a, b in pairwise(history) if a != b]
    assert changes == [1]


def test_what_is_remembered_stays_small():
    state = Scale(1)
    for second in range(1000):
        load = FULL if second % 3 else Load(waited=0, running=second % 32)
        state = decide(state, load, POLICY, now=float(second))
    assert len(state.recommended) <= POLICY.maximum
