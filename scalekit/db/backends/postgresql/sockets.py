"""The sockets of this process's connections: is one dead, and how to free whoever waits on it.

A thread that waits for a frozen server cannot be woken from outside, except by its socket: shut down, it
reports the end of the connection at once. That is the one thing another thread may safely do to it, and
on a duplicate, so that the number is not some other file's by then.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import weakref
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.db import OperationalError

from scalekit.db.backends.postgresql.failures import is_unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

GONE = getattr(select, "POLLRDHUP", 0) | getattr(select, "POLLHUP", 0)


@dataclass(frozen=True, slots=True)
class Line:
    """One open connection: whose it is, and which server it leads to, as far as that is known."""

    alias: str
    descriptor: int
    system: int = 0
    timeline: int = 0


class Lines:
    """All open connections that this engine has made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: weakref.WeakKeyDictionary[Any, Line] = weakref.WeakKeyDictionary()

    def add(self, alias: str, connection: Any, system: int = 0, timeline: int = 0) -> None:
        """Remember a connection for as long as it lives; once more when it is known where it leads."""
        with self._lock:
            known = self._lines.get(connection)
            if known is not None:
                self._lines[connection] = replace(known, system=system, timeline=timeline)
                return
        try:
            descriptor = os.dup(connection.fileno())
        except OSError:  # no such thing as a file descriptor here, or none left
            return
        weakref.finalize(connection, os.close, descriptor)
        with self._lock:
            self._lines[connection] = Line(alias, descriptor, system, timeline)
        limit = getattr(_limits, "current", None)
        if limit is not None:
            limit.watch(connection)

    def has(self, alias: str) -> bool:
        """Return whether `alias` has open connections."""
        with self._lock:
            return any(line.alias == alias for line in self._lines.values())

    def cut(self, alias: str) -> int:
        """Shut down the connections of `alias`; return how many: their reads fail now, not ever later."""
        return self._shut_down(lambda line: line.alias == alias)

    def cut_older(self, system: int, timeline: int) -> int:
        """Shut down the connections to servers that were left behind by a promotion."""
        return self._shut_down(lambda line: line.system == system and line.timeline < timeline)

    def end(self, connection: Any) -> None:
        """Shut down one connection."""
        with self._lock:
            line = self._lines.get(connection)
        if line is not None:
            _shut_down(line.descriptor)

    def _shut_down(self, is_meant: Any) -> int:
        with self._lock:
            # Each connection is held here meanwhile, so that its descriptor cannot be closed.
            meant = [(c, line) for c, line in self._lines.items() if is_meant(line)]
        for _, line in meant:
            _shut_down(line.descriptor)
        return len(meant)

    def forget(self) -> None:
        """Forget the parent's connections after a fork: they are not this process's to end."""
        self._lock = threading.Lock()
        self._lines = weakref.WeakKeyDictionary()


_limits = threading.local()


class Limit:
    """How long each connection that a thread opens may take for all that follows the handshake."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timers: list[threading.Timer] = []
        self.expired = False

    def watch(self, connection: Any) -> None:
        timer = threading.Timer(self._seconds, self._expire, [connection])
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    def _expire(self, connection: Any) -> None:
        self.expired = True
        lines.end(connection)

    def end(self) -> None:
        for timer in self._timers:
            timer.cancel()


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Open connections within the block, and ask them no longer than `seconds` each.

    Raises Django's `OperationalError` if a server that has let us in says nothing more: connecting has a
    time limit in libpq, queries have none.
    """
    _limits.current = limit = Limit(seconds)
    try:
        yield
    except Exception as error:
        if limit.expired and is_unreachable(error):  # else another host has spoken
            raise OperationalError("timeout expired: let in, but not answered") from error
        raise
    finally:
        _limits.current = None
        limit.end()


def _shut_down(descriptor: int) -> None:
    with suppress(OSError):  # shut down already
        end = socket.socket(fileno=descriptor)
        try:
            end.shutdown(socket.SHUT_RDWR)
        finally:
            end.detach()


def hung_up(connection: Any) -> bool:
    """Return whether the other end has closed an idle connection; asks the kernel alone, about 1 µs."""
    if connection.closed:
        return True
    if not GONE:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), GONE)
    return bool(poll.poll(0))


lines = Lines()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lines.forget)
