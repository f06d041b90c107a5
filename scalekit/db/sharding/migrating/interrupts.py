from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def softened(first: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C call `first`, wherever the main thread is; the second is as ever.

    `first` is called as signal handlers are: it may do little more than put something into a SimpleQueue.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield  # only the main thread may say what a signal does; and what is ignored stays so
        return

    def handle(*_: Any) -> None:
        signal.signal(signal.SIGINT, before)
        first()

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
