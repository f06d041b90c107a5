"""Tasks and actors for the tests; what they did is in `done`."""

from __future__ import annotations

import asyncio
from datetime import timedelta

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


@task(max_retries=1, min_backoff=0.02, max_backoff=timedelta(seconds=90), time_limit=60)
def hurried():
    done.append("hurried")


@task(unique_for=timedelta(hours=1))
def once_an_hour(*args, fail=False, **kwargs):
    done.append(args)
    if fail:
        raise ValueError("no luck")


@task(shard=("users", "owner_id"))
def placed(owner_id):
    done.append(owner_id)


@task(record=False)
def unrecorded(word):
    done.append(word)


@task
def give_back(value):
    return value


@task
def give_back_infinity(*_):
    return [float("inf")]


@task(time_limit=0.2, max_retries=0)
async def sleep_for_long():
    await asyncio.sleep(60)


@task
async def time_out_by_itself():
    raise TimeoutError


@task
def skip_me():
    from dramatiq.middleware import SkipMessage

    raise SkipMessage


@task
def interrupt_python():
    raise KeyboardInterrupt


def plain_function():
    done.append("must never run")


@actor
def shout(word):
    done.append(word.upper())


@actor(queue_name="slow", max_retries=0)
async def ponder(word):
    await asyncio.sleep(0)
    done.append(word)
