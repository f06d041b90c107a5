"""Close what is open when this process is told to end: at its exit, on SIGTERM, on SIGHUP."""

from __future__ import annotations

import atexit
import os
import signal
import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
_open: list[Closable] = []


class Closable(Protocol):
    """Anything that can be closed, also twice."""

    def close(self) -> None:
        """Close it."""


def remember(closable: Closable) -> None:
    """Close it at exit and on signals, unless the program handles those itself.

    Not to be called while interrupts are deferred: their handlers are then not the program's.
    """
    _open.append(closable)
    atexit.register(closable.close)
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _close_all_and_die)


def forget(closable: Closable) -> None:
    """Leave it alone from now on; with the last one the signals get their default action back."""
    atexit.unregister(closable.close)
    if closable in _open:
        _open.remove(closable)
    if not _open and threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) is _close_all_and_die:
                signal.signal(number, signal.SIG_DFL)


def _close_all_and_die(number: int, _frame: FrameType | None) -> None:
    """Close everything, then end by the signal after all, so that our parent sees how we ended."""
    for closable in reversed(_open.copy()):
        closable.close()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
