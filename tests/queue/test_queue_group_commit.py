"""Writes of many threads in one transaction: who leads, who waits, and whom an error concerns."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from scalekit.queue.records.grouping import GroupCommit, GroupInterrupted
from scalekit.testing.servers.waiting import Waits

WAITS = Waits(act=10)


class Interrupted(BaseException):
    pass


class Log:
    """What would be written to the database: groups of numbers. Doubles them; 13 cannot be written, 0 nowhere."""

    def __init__(self):
        self.groups = []
        self.is_writing, self.may_write = threading.Event(), threading.Event()

    def write(self, steps):
        self.is_writing.set()
        self.may_write.wait(10)
        self.groups.append(list(steps))
        if 0 in steps:
            raise ValueError("the database is down")
        return [ValueError("13") if step == 13 else step * 2 for step in steps]


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def group(log):
    return GroupCommit(log.write)


def submit_while_one_writes(group, log, steps):
    """Submit 1, and `steps` from threads of their own while 1 is being written; return their futures."""
    with ThreadPoolExecutor(1 + len(steps)) as pool:
        futures = [pool.submit(group.submit, 1)]
        WAITS.until(lambda: group._is_led, "the first leads")
        futures += [pool.submit(group.submit, step) for step in steps]
        WAITS.until(lambda: len(group._waiting) == len(steps), "the others wait")
        log.may_write.set()
    return futures


def test_who_comes_alone_writes_at_once(group, log):
    log.may_write.set()
    assert group.submit(1) == 2
    assert log.groups == [[1]]


def test_who_comes_while_one_writes_is_written_together_with_the_others(group, log):
    futures = submit_while_one_writes(group, log, [2, 3, 4, 5])
    assert [future.result() for future in futures] == [2, 4, 6, 8, 10]
    assert [sorted(steps) for steps in log.groups] == [[1], [2, 3, 4, 5]]


def test_what_cannot_be_written_harms_no_other(group, log):
    futures = submit_while_one_writes(group, log, [2, 13, 3])
    assert [futures[n].result() for n in (0, 1, 3)] == [2, 4, 6]
    with pytest.raises(ValueError, match="13"):
        futures[2].result()


def test_what_keeps_all_from_being_written_is_told_to_all(group, log):
    futures = submit_while_one_writes(group, log, [2, 0, 3])
    assert futures[0].result() == 2
    assert [str(future.exception()) for future in futures[1:]] == ["the database is down"] * 3


def test_interrupt_of_the_leader_leaves_the_next_to_lead(group, log):
    def interrupted(steps):
        raise Interrupted

    write, group._write = group._write, interrupted
    with pytest.raises(Interrupted):
        group.submit(1)
    group._write = write
    log.may_write.set()
    assert group.submit(2) == 4


class Interrupting:
    """The turn of one who is interrupted while it waits for it."""

    times = 0

    def acquire(self):
        self.times += 1
        if self.times == 2:  # the first one makes it a turn to wait for
            raise Interrupted

    def release(self):
        """Nobody waits for it."""


def test_interrupt_of_one_who_waits_does_not_leave_it_to_lead(group, log, monkeypatch):
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(group.submit, 1)]
        WAITS.until(log.is_writing.is_set, "the first writes")
        with monkeypatch.context() as patch:
            patch.setattr("scalekit.queue.records.grouping.Lock", Interrupting)
            with pytest.raises(Interrupted):
                group.submit(2)
        assert not group._waiting
        futures.append(pool.submit(group.submit, 3))
        WAITS.until(lambda: group._waiting, "the last waits")
        log.may_write.set()
    assert [future.result() for future in futures] == [2, 6]


def test_interrupt_of_the_leader_tells_who_waited_that_nothing_is_known(group, log):
    calls = []

    def interrupted(steps):
        calls.append(steps)
        log.may_write.wait(10)
        if len(steps) > 1:
            raise Interrupted
        return steps

    group._write = interrupted
    futures = submit_while_one_writes(group, log, [2, 3])
    errors = {type(future.exception()) for future in futures[1:]}
    assert errors == {Interrupted, GroupInterrupted}
