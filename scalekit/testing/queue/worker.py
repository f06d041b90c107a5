"""A real worker in a process of its own, on the databases of the test."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.db import connections

from scalekit.testing.servers import Topology

from .brokers import MEMORY
from .exceptions import QueueUntestable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scalekit.testing.servers import Process

PASSED_ON = ("DATABASES", "TASKS", "SCALEKIT_QUEUE_BROKER")


@contextmanager
def running_worker(*arguments: str, **env: str) -> Iterator[Process]:
    """Run ``manage.py run_workers`` for the length of a block, with the databases and the broker of the test.

    `arguments` are the command's, by default those of one process with two threads; `env` is added to its
    environment. The process can be stopped, killed and frozen; its `log` is a file. Raises `QueueUntestable`
    where another process cannot see what the test sees: in a `TestCase`, on a database or broker in memory.
    """
    _require_shared_state()
    command = [sys.executable, "-m", "django", "run_workers"]
    with Topology() as topology:
        yield topology.process(
            "worker",
            [*command, *(arguments or ("--min=1", "--max=1", "--threads=2"))],
            env={**_environment(), **env},
            ready=lambda: "Ready." in (topology.folder / "worker" / "server.log").read_text(),
        )


def _require_shared_state() -> None:
    for connection in connections.all():
        blocks = connection.atomic_blocks
        if getattr(connection, "is_in_memory_db", bool)():  # SQLite's
            raise QueueUntestable(
                f"Database {connection.alias!r} is in the memory of this process, which no worker sees. "
                f'Give it a file: "TEST": {{"NAME": "test.sqlite3"}}, or use PostgreSQL.'
            )
        if any(getattr(block, "_from_testcase", False) for block in blocks):
            raise QueueUntestable(
                "A TestCase commits nothing, so a worker sees none of it: use TransactionTestCase, "
                "or @pytest.mark.django_db(transaction=True)."
            )
    if _broker().get("BACKEND") == MEMORY:
        raise QueueUntestable(
            "The broker is in the memory of this process, which no worker sees. Set "
            "SCALEKIT_QUEUE_BROKER to a Redis or RabbitMQ; the fixtures valkey and rabbitmq start one."
        )


def _broker() -> dict[str, Any]:
    entry: dict[str, Any] = getattr(django_settings, "SCALEKIT_QUEUE_BROKER", {}).get("default", {})
    return entry


def _environment() -> dict[str, str]:
    module = os.environ.get("DJANGO_SETTINGS_MODULE") or django_settings.SETTINGS_MODULE
    passed = {name: getattr(django_settings, name) for name in PASSED_ON}
    passed["DATABASES"] = {c.alias: _entry(c.settings_dict) for c in connections.all()}
    return {
        "DJANGO_SETTINGS_MODULE": "scalekit.testing.as_in_test",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "SCALEKIT_TESTED_SETTINGS": module,
        "SCALEKIT_TEST_SETTINGS": json.dumps(passed, default=str),
    }


def _entry(settings_dict: dict[str, Any]) -> dict[str, Any]:
    """Return an entry of DATABASES that leads to the test database."""
    return {name: value for name, value in settings_dict.items() if name != "TEST"}
