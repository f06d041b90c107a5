"""What a child process and its supervisor tell each other: lines over a pair of sockets.

The child inherits one end. When the supervisor ends, however it does, the other end is closed and the child
reads the end of the file: so no child outlives a supervisor that was killed with kill -9.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = "SCALEKIT_QUEUE_LINK"  # names the child's end by its number
RETIRE = "retire"  # finish what you have begun, however long it takes, and end
GONE = "gone"  # the supervisor has ended


class Link:
    """The child's end."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._speaking = threading.Lock()

    @classmethod
    def to_supervisor(cls) -> Self | None:
        """Return the link of this process, None where no supervisor has started it; only once."""
        number = os.environ.pop(
            VARIABLE, None
        )  # what this process starts is no child of the supervisor
        if number is None:
            return None
        end = socket.socket(fileno=int(number))
        end.set_inheritable(False)
        return cls(end)

    def tell(self, **facts: Any) -> None:
        """Tell the supervisor; whether it is there to hear is `listen`'s to notice."""
        with self._speaking, suppress(OSError):
            self._socket.sendall(json.dumps(facts).encode() + b"\n")

    def listen(self, hear: Callable[[str], object]) -> None:
        """Call ``hear(word)`` on a thread of its own for each word, and at last with `GONE`."""
        threading.Thread(target=self._hear, args=(hear,), name="supervisor", daemon=True).start()

    def _hear(self, hear: Callable[[str], object]) -> None:
        with suppress(OSError), self._socket.makefile() as lines:
            for line in lines:
                hear(line.strip())
        hear(GONE)


def follow_supervisor(stop: Callable[[], object]) -> bool:
    """Call `stop` when the supervisor that has started this process wants it to end, or has died.

    Returns at once, and whether there is a supervisor: a process that was started by hand has none.
    """
    link = Link.to_supervisor()
    if link is None:
        return False
    link.tell(ready=True)
    link.listen(lambda _word: stop())
    return True
