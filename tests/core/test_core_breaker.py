from __future__ import annotations

import pytest

from scalekit.core.breaker import Breaker


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def breaker(now):
    return Breaker(lambda: 5.0, clock=lambda: now[0])


def test_closed_lets_all_through(breaker):
    assert all(breaker.allows() for _ in range(3))
    assert not breaker.succeeded()


def test_open_lets_none_through(breaker):
    assert breaker.failed()
    assert breaker.is_open
    assert not breaker.failed()
    assert not any(breaker.allows() for _ in range(3))


def test_one_probe_a_window(breaker, now):
    breaker.failed()
    now[0] = 5.0
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    breaker.failed()
    assert not breaker.allows()
    now[0] = 10.0
    assert breaker.allows()


def test_a_probe_that_works_closes(breaker, now):
    breaker.failed()
    now[0] = 5.0
    breaker.allows()
    assert breaker.succeeded()
    assert all(breaker.allows() for _ in range(3))


def test_a_probe_that_never_reports_does_not_close_the_door_for_ever(breaker, now):
    breaker.failed()
    now[0] = 5.0
    assert breaker.allows()
    now[0] = 10.0
    assert breaker.allows()
