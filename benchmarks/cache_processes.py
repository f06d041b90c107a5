"""Each set-up in a process of its own, which it may patch as it likes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import traceback
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

forking = multiprocessing.get_context("fork")  # a child has the imports of its parent already
for _module in ("asyncio", "django.core.cache", "django.db.models", "redis.asyncio"):
    import_module(_module)


class Child:
    """A forked process that runs `work(say, *arguments)`; what it says is heard with `hear`."""

    def __init__(self, work, *arguments):
        self._ear, mouth = forking.Pipe(duplex=False)
        self.process = forking.Process(target=_run, args=(mouth, work, arguments), daemon=False)
        sys.stdout.flush()
        self.process.start()
        mouth.close()

    def hear(self, seconds):
        """Return the next thing it says, or None after `seconds`. Raises what it raised."""
        try:
            heard = self._ear.recv() if self._ear.poll(seconds) else None
        except EOFError:
            return None
        return heard.fail() if isinstance(heard, _Fault) else heard

    def kill(self):
        """End it, as kill -9 does."""
        self.process.kill()
        self.process.join()
        self._ear.close()


class _Fault:
    def __init__(self, text):
        self.text = text

    def fail(self):
        raise RuntimeError(self.text)


def _run(mouth, work, arguments):
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)  # the parent's would stop the parent's servers
    _close_all_but(mouth.fileno())
    with Path(os.devnull).open("w") as nowhere:  # peers log every error of an outage
        os.dup2(nowhere.fileno(), 2)
    try:
        work(mouth.send, *arguments)
    except BaseException:  # noqa: BLE001 - the parent tells
        mouth.send(_Fault(traceback.format_exc()))
    finally:
        os._exit(0)  # no exit handler of the parent's


def _close_all_but(mine):
    """Hold open nothing of the parent's: its guard of servers waits for the other ends of its pipes."""
    for number in [int(path.name) for path in Path("/dev/fd").iterdir()]:
        if number > 2 and number != mine:
            with suppress(OSError):
                os.close(number)


@contextmanager
def children(jobs):
    """Start a child for each `(work, *arguments)`; whatever is left of them at the end is killed."""
    started = []
    try:
        for job in jobs:
            started.append(Child(*job))  # noqa: PERF401 - those that did start are ended if one does not
        yield started
    finally:
        for child in started:
            child.kill()


def ask(seconds, work, *arguments):
    """Return the first thing that a child says, or None if it has said nothing after `seconds`."""
    with children([(work, *arguments)]) as [child]:
        return child.hear(seconds)
