"""The project's processes, each as a user would start it: ``manage.py run_workers`` and the like."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from uuid import uuid4

PROJECT = "tests.integration.queue.project"


def eventually(is_true, seconds=30.0):
    """Wait until `is_true()`, and say whether it came to that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_true():
            return True
        time.sleep(0.02)
    return False


def environment(databases, broker, **more):
    """Return the environment of a process of the project."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": f"{PROJECT}.settings",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONUNBUFFERED": "1",
        "QUEUE_DATABASES": json.dumps(databases),
        "QUEUE_BROKER": json.dumps(broker),
        **more,
    }


class Manage:
    """``manage.py COMMAND ...`` in a process of its own, its output in a file."""

    def __init__(self, folder, env, *args):
        self.log = folder / f"{args[0]}-{uuid4().hex[:6]}.log"
        argv = [sys.executable, "-m", "django", *args]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(argv, env=env, stdout=log, stderr=subprocess.STDOUT)

    @property
    def output(self):
        return self.log.read_text()

    def says(self, text, seconds=30.0):
        """Wait until it has written `text`; fail if it ends before."""
        assert eventually(
            lambda: text in self.output or self.process.poll() is not None, seconds
        ), self.output
        assert text in self.output, self.output
        return self

    def ready(self):
        self.says("Ready.")
        assert self.process.poll() is None, self.output
        return self

    def wait(self, seconds=30.0):
        return self.process.wait(timeout=seconds)

    def close(self):
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
