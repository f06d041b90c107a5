from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context
from functools import partial

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from scalekit.core.context import (
    Fact,
    arrived_with,
    current_unit,
    facts,
    logged_facts,
    portable_facts,
    unit_of_work,
)
from scalekit.testing.fakes import captured_events


def _numbers_only(raw):
    if not isinstance(raw, int):
        raise TypeError("not a number")
    return raw


COLOUR: Fact[str] = Fact("sample_colour", "grey", portable=True, logged=True)
NUMBER: Fact[int] = Fact("sample_number", 0, portable=True, load=_numbers_only)
PRIVATE: Fact[str] = Fact("sample_private", "")


def test_outside_a_unit_set_keeps_nothing():
    assert COLOUR.set("red") is False
    assert COLOUR.get() == "grey"


def test_a_fact_lasts_as_long_as_its_unit():
    with unit_of_work():
        assert COLOUR.set("red") is True
        assert COLOUR.get() == "red"
    assert COLOUR.get() == "grey"
    assert current_unit() is None


def test_a_nested_unit_starts_empty_and_leaves_the_outer_one_as_it_was():
    with unit_of_work():
        COLOUR.set("red")
        with unit_of_work():
            assert COLOUR.get() == "grey"
            COLOUR.set("blue")
        assert COLOUR.get() == "red"


def test_what_a_child_task_learns_its_parent_knows():
    async def learn(colour):
        await asyncio.sleep(0)
        COLOUR.set(colour)

    async def parent():
        with unit_of_work():
            await asyncio.gather(learn("red"), learn("red"))
            return COLOUR.get()

    assert asyncio.run(parent()) == "red"


def test_a_binding_never_leaves_its_task():
    async def bound(colour, seen, both_inside):
        with COLOUR.bind(colour):
            await both_inside.wait()
            seen.append((colour, COLOUR.get()))

    async def parent():
        seen, both_inside = [], asyncio.Barrier(2)
        with unit_of_work():
            await asyncio.gather(bound("red", seen, both_inside), bound("blue", seen, both_inside))
            assert COLOUR.get() == "grey"
        return seen

    assert sorted(asyncio.run(parent())) == [("blue", "blue"), ("red", "red")]


def test_bindings_nest_and_outrank_what_is_set():
    with unit_of_work():
        with COLOUR.bind("red"):
            with COLOUR.bind("blue"):
                COLOUR.set("green")
                assert COLOUR.get() == "blue"
            assert COLOUR.get() == "red"
        assert COLOUR.get() == "green"


def test_a_binding_ends_on_an_exception():
    with pytest.raises(ValueError, match="x"), COLOUR.bind("red"):
        raise ValueError("x")
    assert COLOUR.get() == "grey"


def test_the_unit_reaches_threads_that_carry_the_context():
    async def view():
        with unit_of_work():
            await sync_to_async(COLOUR.set)("red")
            return COLOUR.get()

    assert async_to_sync(view)() == "red"


def test_a_plain_thread_has_no_unit_and_a_copied_context_has():
    seen = []
    with unit_of_work():
        COLOUR.set("red")
        for ask in (COLOUR.get, partial(copy_context().run, COLOUR.get)):
            thread = threading.Thread(target=lambda ask=ask: seen.append(ask()))
            thread.start()
            thread.join()
    assert seen == ["grey", "red"]


def test_two_facts_of_one_name_are_refused():
    with pytest.raises(ValueError, match="exists already"):
        Fact("sample_colour", "")


def test_portable_facts_travel_and_only_where_they_say_something():
    with unit_of_work():
        assert portable_facts() == {}
        COLOUR.set("red")
        PRIVATE.set("mine")
        assert portable_facts() == {"sample_colour": "red"}


def test_logged_facts_are_what_a_line_should_say():
    with unit_of_work():
        COLOUR.set("red")
        NUMBER.set(7)
        assert logged_facts() == {"sample_colour": "red"}


def test_a_message_is_worked_on_with_the_facts_it_carried():
    with unit_of_work():
        COLOUR.set("red")
        NUMBER.set(7)
        carried = portable_facts()
    with arrived_with(carried):
        assert (COLOUR.get(), NUMBER.get()) == ("red", 7)
    assert COLOUR.get() == "grey"


@pytest.mark.parametrize("raw", ["7", None, [1], {"a": 1}, b"\xff", float("nan"), "x" * 10_000])
def test_a_hostile_value_is_left_out_and_announced(raw):
    with captured_events("fact_refused") as events, arrived_with({"sample_number": raw}):
        assert NUMBER.get() == 0
    assert events.named("fact_refused") == [{"fact": "sample_number"}]


def test_a_message_sets_no_fact_that_does_not_travel_or_exist():
    carried = {"sample_private": "forged", "a" * 5000: 1}
    with captured_events("fact_refused") as events, arrived_with(carried):
        assert PRIVATE.get() == ""
    assert events.named("fact_refused") == [{"fact": "sample_private"}, {"fact": "unknown"}]


def test_a_fact_from_a_message_does_not_touch_the_one_who_reads_it():
    with unit_of_work():
        COLOUR.set("red")
        with arrived_with({"sample_colour": "blue"}):
            assert COLOUR.get() == "blue"
        assert COLOUR.get() == "red"


def teardown_module():
    for fact in (COLOUR, NUMBER, PRIVATE):
        facts.pop(fact.name, None)
