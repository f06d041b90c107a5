from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction

from scalekit.cache import MISSING, cached


class Loader:
    def __init__(self):
        self.runs: list[object] = []
        self.returns: object = "value"
        self.gate: asyncio.Event | None = None
        self.cancels = False

    async def __call__(self, argument):
        self.runs.append(argument)
        if self.gate:
            await self.gate.wait()
        await asyncio.sleep(0)
        if self.cancels:
            raise asyncio.CancelledError
        if isinstance(self.returns, Exception):
            raise self.returns
        return self.returns


loader = Loader()


@pytest.fixture(autouse=True)
def fresh_loader():
    loader.__init__()


@cached(ttl=60)
async def load(argument):
    return await loader(argument)


def runs_in_a_loop(test):
    def run():
        asyncio.run(asyncio.wait_for(test(), 20))

    run.__name__ = test.__name__
    return run


async def started(runs: int = 1) -> None:
    while len(loader.runs) < runs:  # noqa: ASYNC110 - the loader knows no loop
        await asyncio.sleep(0.001)


async def boarded(task: asyncio.Task) -> asyncio.Task:
    await asyncio.sleep(0.1)
    assert not task.done()
    return task


@pytest.mark.parametrize("value", [None, 0, "", []])
def test_every_value_is_a_value(value):
    async def twice():
        return [await load(1), await load(1)]

    loader.returns = value
    assert asyncio.run(twice()) == [value, value]
    assert loader.runs == [1]


def test_it_is_still_a_coroutine_function():
    assert iscoroutinefunction(load)


@runs_in_a_loop
async def test_many_tasks_load_once():
    assert set(await asyncio.gather(*(load(1) for _ in range(50)))) == {"value"}
    assert loader.runs == [1]


@runs_in_a_loop
async def test_who_joins_gets_a_copy_of_its_own():
    loader.returns = [1]
    values = await asyncio.gather(*(load(1) for _ in range(3)))
    assert loader.runs == [1]
    assert values == [[1]] * 3
    assert len({id(value) for value in values}) == 3


def test_a_tenant_does_not_join_another_s_load(tenants):
    @cached(key=lambda: 1)
    async def whose():
        await asyncio.sleep(0.1)
        return tenants.get()

    async def visit(name):
        tenants.set(name)
        return await whose()

    async def scene():
        return await asyncio.gather(visit("one"), visit("other"))

    assert asyncio.run(scene()) == ["one", "other"]


@runs_in_a_loop
async def test_the_leader_s_end_is_nobody_else_s():
    loader.gate = asyncio.Event()
    leader = asyncio.create_task(load(1))
    await started()
    waiter = await boarded(asyncio.create_task(load(1)))
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    loader.gate.set()
    assert await waiter == "value"
    assert await load(1) == "value"
    assert loader.runs == [1]


@runs_in_a_loop
async def test_a_waiter_s_end_is_nobody_else_s():
    loader.gate = asyncio.Event()
    leader = asyncio.create_task(load(1))
    await started()
    waiter = await boarded(asyncio.create_task(load(1)))
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    loader.gate.set()
    assert await leader == "value"


@runs_in_a_loop
async def test_a_load_that_everybody_left_still_fills_the_cache():
    loader.gate = asyncio.Event()
    leader = asyncio.create_task(load(1))
    await started()
    leader.cancel()
    loader.gate.set()
    while await load.peek(1) is MISSING:  # noqa: ASYNC110 - nobody is told
        await asyncio.sleep(0.001)


@runs_in_a_loop
async def test_who_waits_for_a_load_that_was_cancelled_loads_itself():
    loader.gate, loader.cancels = asyncio.Event(), True
    leader = asyncio.create_task(load(1))
    await started()
    waiter = await boarded(asyncio.create_task(load(1)))
    loader.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await leader
    await started(2)
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert loader.runs == [1, 1]


@runs_in_a_loop
async def test_errors_reach_all_and_are_not_kept():
    loader.returns = ValueError("no")
    results = await asyncio.gather(*(load(1) for _ in range(5)), return_exceptions=True)
    assert {type(result) for result in results} == {ValueError}
    assert loader.runs == [1]
    loader.returns = "fine"
    assert await load(1) == "fine"


@runs_in_a_loop
async def test_invalidate_during_a_load_keeps_its_value_out():
    loader.gate, loader.returns = asyncio.Event(), "old"
    slow = asyncio.create_task(load(1))
    await started()
    await load.invalidate(1)
    loader.gate.set()
    assert await slow == "old"
    assert await load.peek(1) is MISSING


@runs_in_a_loop
async def test_invalidate_from_another_loop_is_heard():
    loader.gate, loader.returns = asyncio.Event(), "old"
    slow = asyncio.create_task(load(1))
    await started()
    await asyncio.to_thread(async_to_sync(load.invalidate), 1)
    loader.gate.set()
    await slow
    assert await load.peek(1) is MISSING


def test_a_waiter_gives_up_on_a_hung_load(settings):
    settings.SCALEKIT_CACHE_MAX_WAIT = 0.05

    async def scene():
        loader.gate = asyncio.Event()
        hung = asyncio.create_task(load(1))
        await started()
        waiter = asyncio.create_task(load(1))
        await started(2)
        loader.gate.set()
        return await asyncio.gather(hung, waiter)

    assert asyncio.run(scene()) == ["value", "value"]


def test_nobody_waits_for_more_than_one_load_after_another(settings):
    settings.SCALEKIT_CACHE_MAX_WAIT = 0.4

    async def scene():
        loader.gate = asyncio.Event()
        calls = [asyncio.create_task(load(1)) for _ in range(6)]
        await started(3)
        await asyncio.wait_for(started(6), 0.3)
        loader.gate.set()
        return await asyncio.gather(*calls)

    assert asyncio.run(scene()) == ["value"] * 6


@runs_in_a_loop
async def test_refresh_runs_the_function_whoever_comes_between():
    caller = ContextVar("caller", default="another")

    @cached(key=lambda: 1)
    async def who():
        await asyncio.sleep(0.1)
        return caller.get()

    async def refresh():
        caller.set("refresh")
        return await who.refresh()

    assert "refresh" == (await asyncio.gather(who(), refresh()))[1] == await who.peek()


@runs_in_a_loop
async def test_refresh_many_and_peek():
    assert await load.many([1, 2, 1]) == ["value"] * 3
    loader.returns = "new"
    assert await load.refresh(1) == "new"
    assert await load.many([1, 2]) == ["new", "value"]
    assert loader.runs == [1, 2, 1]


class Service:
    @cached(key=lambda self, sku: sku)
    async def price(self, sku):
        return await loader(sku)


@runs_in_a_loop
async def test_methods():
    await Service().price(1)
    await Service().price(1)
    await Service().price.invalidate(1)
    await Service().price(1)
    assert loader.runs == [1, 1]


def test_two_loops_do_not_meet():
    assert [async_to_sync(load)(1), async_to_sync(load)(1)] == ["value", "value"]
    assert loader.runs == [1]
