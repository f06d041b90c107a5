"""A worker of plain actors on the Redis broker and nothing else, in a process of its own for tests that kill it.

Run as a module, with OPTIONS of the broker in QUEUE_OPTIONS. `Crew` starts such processes, and workers in this one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

from dramatiq import Worker

from tests.integration.queue.processes import eventually

RESTART_DELAY = "500"  # milliseconds until a consumer tries again, else 3 s
SOON = 1500  # milliseconds without a sign of life


def drain(consumer, seconds=0.3, most=1000):
    """Return what `consumer` hands out until there is nothing for a while."""
    found, idle = [], 0
    while idle * consumer.timeout < seconds * 1000 and len(found) < most:
        message = next(consumer)
        idle = idle + 1 if message is None else 0
        found += [] if message is None else [message]
    return found


def actors_on(broker):
    """Declare the actors on `broker`, and return them by name."""
    import dramatiq

    def write(line):
        with Path(os.environ["JOURNAL"]).open("a") as journal:
            journal.write(f"{line}\n")

    def note(line):
        write(line)

    def work(line, seconds):
        write(f"{line} begun")
        time.sleep(seconds)
        write(f"{line} done")

    def linger(line, seconds):
        """Take `seconds` in the first attempt."""
        write(line)
        if lines().count(str(line)) == 1:
            time.sleep(seconds)

    def stumble(line, seconds):
        """Fail after `seconds` in the first attempt."""
        write(line)
        if lines().count(str(line)) == 1:
            time.sleep(seconds)
            raise ValueError("the first time always fails")

    def die(line):
        write(line)
        os.kill(os.getpid(), signal.SIGKILL)

    def lines():
        return Path(os.environ["JOURNAL"]).read_text().splitlines()

    declare = dramatiq.actor
    return SimpleNamespace(
        note=declare(note, broker=broker),
        work=declare(work, broker=broker),
        linger=declare(linger, broker=broker),
        stumble=declare(stumble, broker=broker, min_backoff=50, max_backoff=100),
        die=declare(die, broker=broker, max_retries=0),
    )


class Crew:
    """Workers that share a broker's OPTIONS and a journal; all end with the test."""

    def __init__(self, folder, options):
        self.folder, self.options, self.processes, self.workers = folder, options, [], []

    def work(self, broker, threads=2):
        """Let this process be a worker of `broker`, which saves the time of starting one."""
        actors_on(broker)
        self.workers.append(Worker(broker, worker_threads=threads, worker_timeout=100))
        self.workers[-1].start()
        return self.workers[-1]

    def start(self, **env):
        """Start a process; THREADS and CLOCK_AHEAD (seconds) say what it is like."""
        return self.start_all(env)[0]

    def start_all(self, *envs):
        """Start several at the same time."""
        started = [self._start(env) for env in envs]
        for process, log in started:
            assert eventually(
                lambda process=process, log=log: (
                    "Ready." in log.read_text() or process.poll() is not None
                ),
                30,
            )
            assert "Ready." in log.read_text(), log.read_text()
        return [process for process, _ in started]

    def _start(self, env):
        log = self.folder / f"worker-{len(self.processes)}.log"
        env = {
            **os.environ,
            "JOURNAL": str(self.folder / "journal"),
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONUNBUFFERED": "1",
            "QUEUE_OPTIONS": json.dumps(self.options),
            "dramatiq_restart_delay": RESTART_DELAY,
            **env,
        }
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", __name__], env=env, stdout=out, stderr=subprocess.STDOUT
            )
        self.processes.append(process)
        return process, log

    def journal(self):
        path = self.folder / "journal"
        return path.read_text().splitlines() if path.exists() else []

    def close(self):
        for process in self.processes:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()
        for worker in self.workers:
            worker.stop(timeout=5000)


def set_up():
    """Let this process be one of a project that has nothing but the queue."""
    import django
    from django.conf import settings

    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    settings.configure(
        SECRET_KEY="of a test",
        INSTALLED_APPS=["scalekit.queue"],
        DATABASES={"default": database},
        SCALEKIT_QUEUE_MIN_BACKOFF=0.05,
    )
    django.setup()


def main():
    real, ahead = time.time, float(os.environ.get("CLOCK_AHEAD", "0"))
    if ahead:
        time.time = lambda: real() + ahead
    set_up()
    from scalekit.queue.brokers.redis import RedisBroker

    broker = RedisBroker("default", **json.loads(os.environ["QUEUE_OPTIONS"]))
    actors_on(broker)
    worker = Worker(broker, worker_threads=int(os.environ.get("THREADS", "2")), worker_timeout=100)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    sys.stdout.write("Ready.\n")  # before it may be killed by what it runs
    worker.start()
    stop.wait()
    worker.stop(timeout=10_000)


if __name__ == "__main__":
    main()
