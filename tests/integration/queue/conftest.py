from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from uuid import uuid4

import pytest

PROJECT = "tests.integration.queue.project"


def eventually(is_true, seconds=15.0):
    """Wait until `is_true()`, and say whether it came to that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_true():
            return True
        time.sleep(0.02)
    return False


class Worker:
    """``manage.py run_workers`` in a process of its own."""

    def __init__(self, folder, env, *args):
        self.log = folder / f"worker-{uuid4().hex[:6]}.log"
        argv = [sys.executable, "-m", "django", "run_workers", "--threads=2", *args]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(argv, env=env, stdout=log, stderr=subprocess.STDOUT)

    @property
    def output(self):
        return self.log.read_text()

    def ready(self):
        assert eventually(lambda: "Ready." in self.output or self.process.poll() is not None)
        assert self.process.poll() is None, self.output
        return self

    def wait(self, seconds=15.0):
        return self.process.wait(timeout=seconds)

    def close(self):
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()


@pytest.fixture
def options(valkey):
    """Give the broker's OPTIONS; what the tests leave behind lies under a name of its own."""
    return {"url": valkey.url, "namespace": uuid4().hex}


@pytest.fixture
def broker(settings, options):
    """Give the broker that tasks enqueued in this process go to."""
    from scalekit.queue.brokers import default_broker

    settings.TASKS = {
        "default": {
            "BACKEND": "scalekit.queue.backend.DramatiqBackend",
            "QUEUES": ["default", "mail"],
        },
    }
    settings.SCALEKIT_QUEUE_BROKER = {
        "default": {"BACKEND": "scalekit.queue.brokers.redis.RedisBroker", "OPTIONS": options},
    }
    broker = default_broker()
    yield broker
    broker.close()
    broker.client.close()


@pytest.fixture
def journal(tmp_path):
    """Give a function that reads the lines that tasks have written."""
    path = tmp_path / "journal"
    return lambda: path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def start_worker(tmp_path, options):
    """Give a function that starts a worker process on the broker; all end with the test."""
    workers = []

    def start(*args, **env):
        env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": f"{PROJECT}.settings",
            "JOURNAL": str(tmp_path / "journal"),
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONUNBUFFERED": "1",
            "QUEUE_OPTIONS": json.dumps(options),
            **env,
        }
        workers.append(Worker(tmp_path, env, *args))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()
