"""What is said and announced when a process ends that nobody had told to."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from scalekit.queue.events import WORKER_LOST
from scalekit.queue.exceptions import QueueError

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalekit.queue.supervisor.child import Child
    from scalekit.queue.supervisor.restarts import Restarts

HINTS = {
    "SIGKILL": " (kill -9, or the system ran out of memory)",
    "SIGSEGV": " (a crash in compiled code)",
}
JOBS = {"worker": " Its running jobs are run again by another."}


class Refused(QueueError):
    """A worker cannot do what it was asked for, and so would no other."""


def report(kind: str, child: Child, restarts: Restarts, say: Callable[[str], object]) -> None:
    """Say how `child` ended and when it is replaced, and announce it."""
    say(f"The {kind} {child.pid} {_how(child)}.{JOBS.get(kind, '')} {_next(restarts)}")
    killed = (child.exit_code or 0) < 0
    WORKER_LOST.emit(
        process=kind, how="killed" if killed else "exited", pid=child.pid, code=child.exit_code
    )


def _how(child: Child) -> str:
    code = child.exit_code or 0
    if code >= 0:
        return f"ended by itself with {code} after {child.lived:.1f} s{_reason(child)}"
    name = f"signal {-code}"
    with suppress(ValueError):
        name = signal.Signals(-code).name
    return f"was killed by {name}{HINTS.get(name, '')}"


def _reason(child: Child) -> str:
    return f": {child.refusal}" if child.refusal else ""


def _next(restarts: Restarts) -> str:
    wait = restarts.not_before - time.monotonic()
    if wait <= 0:
        return "It is replaced at once."
    return (
        f"That makes {restarts.in_a_row} in a row that did not live long: the next one starts in "
        f"{wait:.1f} s. What they wrote says why."
    )
