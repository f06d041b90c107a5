"""The guard: a tiny process that outlives this one just long enough to kill what it started.

PR_SET_PDEATHSIG is not enough: it reaches the direct child only, fires when the *thread* that spawned it ends, and
a stopped (frozen) grandchild never notices that its parent is gone. The guard reads from a pipe whose other end
only this process holds; whatever ends this process, kill -9 included, closes the pipe. It works on macOS too.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Each line is the whole list of targets; a negative number is a process group. A half-written line is dropped.
_SCRIPT = 'while read -r line; do ids=$line; done; [ -z "$ids" ] || kill -9 $ids 2>/dev/null'


class Guard:
    """The watcher of the servers of this process; runs only while there are any."""

    def __init__(self) -> None:
        """Watch nothing yet."""
        self._lock = (
            threading.RLock()
        )  # re-entrant: a signal handler may stop servers in the middle of a start
        self._targets: dict[int, tuple[int, ...]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()

    def watch(self, child: int, others: Iterable[int] = ()) -> None:
        """Have the process group of `child` and the single processes `others` killed when this process ends."""
        with self._lock:
            self._belong_here()
            self._targets[child] = (-child, *others)
            self._tell()

    def forget(self, child: int) -> None:
        """Watch `child` no longer: it has ended."""
        with self._lock:
            if os.getpid() == self._owner and self._targets.pop(child, ()):
                self._tell()

    def _belong_here(self) -> None:
        """Begin anew in a forked child: the servers are its parent's."""
        if os.getpid() != self._owner:
            self._targets, self._process, self._owner = {}, None, os.getpid()

    def _tell(self) -> None:
        """Give the guard the list as it is now; send it home when that is empty."""
        ids = [target for group in self._targets.values() for target in group]
        if ids or self._process:
            self._write(" ".join(map(str, ids)))
        if not ids:
            self._dismiss()

    def _write(self, line: str) -> None:
        if self._process is None or self._process.poll() is not None:
            self._process = self._hire()
        stdin = self._process.stdin
        if stdin is not None:
            stdin.write(f"{line}\n".encode())
            stdin.flush()

    def _hire(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # Ctrl-C in the terminal must not reach it
        )

    def _dismiss(self) -> None:
        process, self._process = self._process, None
        if process and process.stdin:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.wait(timeout=10)


guard = Guard()
