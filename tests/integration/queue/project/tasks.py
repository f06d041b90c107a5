"""Tasks that write down, in the file JOURNAL, what they do."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path

from asgiref.sync import sync_to_async
from django.db import connection, transaction

from scalekit.core.context import Fact, portable_facts
from scalekit.queue import actor, task

if Path(os.environ.get("BROKEN_RELEASE", "/nowhere")).exists():
    raise ImportError("this release does not start")

VISITOR: Fact[str] = Fact("test_visitor", "", portable=True)


def write(line):
    with Path(os.environ["JOURNAL"]).open("a") as journal:
        journal.write(f"{line}\n")


@task
def note(line):
    write(line)


@task(takes_context=True)
def note_id(context):
    write(context.task_result.id)


@task
async def think(line):
    await asyncio.sleep(0)
    write(line)


@task
def recall():
    write(json.dumps(portable_facts()))


@task
def work(seconds):
    write("begun")
    time.sleep(seconds)
    write("finished")


@task
def affect(name):
    """Do what must happen once: one row of the table `effect` a call."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO effect (name) VALUES (%s)", [name])


@task
def fail(text):
    write("attempt")
    raise ValueError(text)


@task
def kill_worker():
    """Be the job that no worker survives, as one that takes all memory is."""
    write("begun")
    os.kill(os.getpid(), signal.SIGKILL)


def connection_id():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


@task
def work_as(name, seconds):
    """Say which process works, and for how long."""
    write(f"{name} begun {os.getpid()}")
    time.sleep(seconds)
    write(f"{name} finished {os.getpid()}")


@task
def nap(seconds, name):
    time.sleep(seconds)
    write(name)


_hoard = []


@task
def hoard(megabytes):
    """Leak memory, as jobs do."""
    _hoard.append(bytearray(os.urandom(1 << 20) * megabytes))
    write(f"hoarded {os.getpid()}")


@task
def note_connection():
    write(connection_id())


@task
def leave_transaction_open():
    """Be cut off where a transaction should have ended."""
    transaction.atomic().__enter__()
    affect.func("never committed")
    write("left open")


@task
def leave_autocommit_off():
    transaction.set_autocommit(False)
    affect.func("never committed")
    write("left open")


@task
async def note_connection_of_async_code():
    write(await sync_to_async(connection_id)())


@task(takes_context=True)
def stumble(context, seconds):
    write(f"attempt {context.attempt}")
    if context.attempt == 1:
        time.sleep(seconds)
        raise ValueError("the first time always fails")


@actor
def call_out(line):
    write(line.upper())
    return f"{line}, {line}"


@task(record=False)
def kill_worker_without_a_record():
    write("begun")
    os.kill(os.getpid(), signal.SIGKILL)


@actor
def kill_worker_of_actor():
    write("begun")
    os.kill(os.getpid(), signal.SIGKILL)


@actor(time_limit=2000, max_retries=1)
def give_out():
    write("attempt")
    time.sleep(0.5)
    raise ValueError("it always fails")


def note_span(seconds):
    """Write into the table `span` from when to when this was."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO span (began) VALUES (clock_timestamp()) RETURNING id")
        [id_] = cursor.fetchone()
        time.sleep(seconds)
        cursor.execute("UPDATE span SET ended = clock_timestamp() WHERE id = %s", [id_])


@actor(concurrency=1)
def one_at_a_time_too():
    note_span(0.05)
