"""Ctrl-C and SIGTERM at the wrong moment: put off, never lost."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_PUT_OFF = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP wait until the block is done; for blocks that are short or bounded.

    Python delivers signals to the main thread only; in any other this does nothing. The signals are caught rather
    than blocked, because a child would inherit the mask and with it deafness to an orderly stop.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        arrived.append(number)

    before = {number: signal.signal(number, note) for number in _PUT_OFF if _is_python(number)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for missed in dict.fromkeys(arrived):
            signal.raise_signal(missed)


def _is_python(number: signal.Signals) -> bool:
    """Tell whether the signal's handler can be put back: one that C code installed reads as None."""
    return signal.getsignal(number) is not None
