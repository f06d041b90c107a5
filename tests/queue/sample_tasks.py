"""Tasks and actors for the tests; what they did is in `done`."""

from __future__ import annotations

import asyncio

from django.db import connection

from scalekit.core.context import Fact, portable_facts
from scalekit.queue import actor, task

TENANT: Fact[str] = Fact("test_tenant", "", portable=True)
PRICE: Fact[object] = Fact("test_price", None, portable=True)

done: list[object] = []


@task
def note(*args, **kwargs):
    done.append((list(args), kwargs))
    return len(done)


by_another_name = note


@task
def explode(times=99):
    done.append("boom")
    if len(done) <= times:
        raise ValueError("no luck")


@task
def recall():
    done.append(portable_facts())


@task(takes_context=True)
def attempt(context):
    done.append((context.attempt, context.task_result.id))
    if context.attempt == 1:
        raise ValueError("once more")


@task
async def think(value):
    await asyncio.sleep(0)
    done.append(value)


@task
def give_back_a_set():
    done.append("ran")
    return {1, 2}


@task
def leave_a_connection():
    connection.ensure_connection()


@task
def quit_python():
    raise SystemExit(3)


def plain_function():
    done.append("must never run")


@actor
def shout(word):
    done.append(word.upper())


@actor(queue_name="slow", max_retries=0)
async def ponder(word):
    await asyncio.sleep(0)
    done.append(word)
