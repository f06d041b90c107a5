"""Threads that do something small again and again."""

from __future__ import annotations

import threading
from queue import SimpleQueue

import pytest

from scalekit.queue.background import Background
from tests.integration.queue.processes import eventually

NAME = "test-background"


def runs():
    return NAME in {thread.name for thread in threading.enumerate()}


@pytest.fixture
def calls():
    return SimpleQueue()


@pytest.fixture
def make():
    made = []

    def new(work):
        made.append(Background(NAME, lambda: 0.01, work))
        return made[-1]

    yield new
    for background in made:
        background.stop()


def test_nothing_runs_before_it_is_woken(make):
    make(lambda: True)
    assert not runs()


def test_work_is_called_until_there_is_none(make, calls):
    left = [True, True, True]
    background = make(
        lambda: calls.put(threading.current_thread().name) or bool(left and left.pop())
    )
    background.wake()
    assert eventually(lambda: not runs())
    assert not left
    assert calls.get() == NAME


def test_it_can_be_woken_again_after_its_end(make, calls):
    background = make(lambda: calls.put(1))
    background.wake()
    assert eventually(lambda: not runs())
    while not calls.empty():
        calls.get()
    background.wake()
    assert calls.get(timeout=10) == 1


def test_what_comes_while_it_ends_goes_on(make, calls):
    answers = [True, False, False, False]  # the last look of the thread finds something
    make(lambda: calls.put(1) or bool(answers and answers.pop())).wake()
    assert eventually(lambda: calls.qsize() > 4)


def test_error_does_not_end_it(make, calls, caplog):
    def work():
        calls.put(1)
        raise ValueError("no luck")

    make(work).wake()
    assert [calls.get(timeout=10) for _ in range(5)] == [1] * 5
    assert "could not do its work" in caplog.text


def test_stop_does_what_is_left_and_ends_the_thread(make, calls):
    background = make(lambda: calls.put(1) or True)
    background.wake()
    background.stop()
    assert not runs()
    assert calls.get(timeout=1) == 1
