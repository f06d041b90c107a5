"""An error that reaches all who waited is each one's own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from scalekit.cache import cached
from scalekit.cache.errors import copy_of


class Picky(Exception):
    def __init__(self, one, other):
        super().__init__(f"{one} {other}")


def test_each_who_waited_raises_an_error_of_their_own():
    gate = threading.Event()

    @cached(key=lambda: id(gate))
    def fails():
        gate.wait(10)
        raise ValueError("broken") from KeyError("why")

    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(fails) for _ in range(4)]
        threading.Event().wait(0.2)
        gate.set()
        errors = [call.exception(10) for call in calls]
    assert len({id(error) for error in errors}) == 4
    assert {repr(error) for error in errors} == {"ValueError('broken')"}
    assert {repr(error.__cause__) for error in errors} == {"KeyError('why')"}


def test_what_cannot_be_copied_is_given_as_it_is():
    error = Picky(1, 2)
    assert copy_of(error) is error
