"""Which jobs a worker may take, how many, and what becomes of those it may not begin."""

from __future__ import annotations

import pytest
from django.db import InterfaceError, OperationalError

from scalekit.queue import pausing
from scalekit.queue.appetite import Appetite, WorkQueue
from scalekit.queue.gate import Gate
from scalekit.queue.pausing import PauseWatch


def test_gate_is_shut_until_somebody_knows_what_is_paused():
    assert Gate().is_shut("mail")


@pytest.mark.parametrize(
    ("lane", "shut"),
    [
        ("mail", True),
        ("mail.high", True),
        ("mail.low", True),
        ("mail.DQ", True),
        ("default", False),
        ("mailing", False),
    ],
)
def test_gate_is_shut_for_all_lanes_of_a_paused_queue(lane, shut):
    gate = Gate()
    gate.pause(frozenset({"mail"}))
    assert gate.is_shut(lane) is shut


def test_draining_gate_is_shut_for_all():
    gate = Gate()
    gate.pause(frozenset())
    gate.drain()
    gate.pause(frozenset())
    assert gate.is_shut("mail")


def fail(error=OperationalError):
    raise error("the database is away")


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_database_that_is_away_unpauses_nothing_and_is_named_once(db, monkeypatch, caplog, error):
    gate = Gate()
    watch = PauseWatch(gate)
    monkeypatch.setattr(pausing, "paused_queues", lambda: frozenset({"mail"}))
    watch._look()
    monkeypatch.setattr(pausing, "paused_queues", lambda: fail(error))
    watch._look()
    watch._look()
    assert (gate.is_shut("mail"), gate.is_shut("default")) == (True, False)
    assert caplog.text.count("the database is away") == 1


def test_database_that_was_never_asked_lets_nothing_in(db, monkeypatch):
    gate = Gate()
    monkeypatch.setattr(pausing, "paused_queues", fail)
    PauseWatch(gate)._look()
    assert gate.is_shut("default")


@pytest.mark.parametrize(
    ("threads", "mean", "held", "room"),
    [
        (8, None, 0, 8),  # nothing is known of the jobs: one a thread
        (8, 60, 0, 8),
        (8, 60, 7, 1),
        (8, 60, 8, 0),
        (8, 0.001, 0, 16),  # short ones: as many again wait here
        (8, 0.001, 13, 0),  # a round trip for three is not worth it
        (8, 0.001, 12, 4),
        (8, 0.4, 8, 2),
        (1, 60, 1, 0),
        (1, 0.01, 1, 1),
    ],
)
def test_appetite_is_for_what_can_begin_soon(threads, mean, held, room):
    work = WorkQueue()
    for number in range(held):
        work.put(number)
    appetite = Appetite(threads, work)
    if mean is not None:
        appetite.ended(mean)
    assert appetite.room() == room


def test_job_that_ends_wakes_who_waits_for_room():
    import threading

    work = WorkQueue()
    work.put(1)
    work.get()
    appetite = Appetite(1, work)
    waiting = threading.Thread(target=appetite.wait, args=(60,))
    waiting.start()
    work.task_done()
    waiting.join(10)
    assert not waiting.is_alive()
