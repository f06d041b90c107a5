"""Hear which keys of a Redis or Valkey server change, whoever changes them: one thread and connection a tier.

The server tells by its own client-side caching (``CLIENT TRACKING ON BCAST``, Redis 6 and later): every key
under a prefix that is written, deleted, evicted or found expired, and that all were flushed. The messages
are asked for in RESP2 on the listening connection itself (``REDIRECT`` to its own id), which every version
of the client libraries can read without handlers of its own.

While it cannot hear, its tier is off. Lost connections show at once; a server that hangs, or a network that
swallows packets, after two spans of `PATIENCE` without a word.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from random import random
from typing import TYPE_CHECKING, Any

from scalekit.cache.events import CACHE_LOCAL_TIER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scalekit.cache.local import LocalTier

PATIENCE = (
    1.0  # seconds of silence after which the server is asked for a sign of life, and then given up
)
CHANNEL = "__redis__:invalidate"
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0  # seconds before a connection is tried again


class Listener:
    """Keep `tier` told of every change to keys that begin with `prefix`.

    `connect` returns a connection of redis-py that nobody else has. The thread begins when the tier is first
    asked for something, ends with the process, and begins anew in a child that was forked.
    """

    def __init__(
        self, name: str, tier: LocalTier, connect: Callable[[], Any], prefix: str = ""
    ) -> None:
        self.name, self.tier, self.prefix = name, tier, prefix
        self._connect = connect
        self._connection: Any = None
        self._is_deaf = False  # and said so
        self._reset()
        tier.wanted = self.start

    def _reset(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to listen, unless that is so already."""
        if self._process != os.getpid():
            self.forget_after_fork()
        if self._thread is not None and self._thread.is_alive():
            return
        with self._lock:
            if not self._stopping.is_set() and (
                self._thread is None or not self._thread.is_alive()
            ):
                self._thread = threading.Thread(
                    target=self._run, name=f"scalekit-cache-{self.name}", daemon=True
                )
                with suppress(RuntimeError):  # the process ends, or has no room for a thread
                    self._thread.start()

    def stop(self) -> None:
        """End the thread and its connection; it does not begin again."""
        with self._lock:
            self._stopping.set()
            thread = self._thread
        self._hang_up()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=2)

    def forget_after_fork(self) -> None:
        """Leave the connection to the parent: a child that kept it open would keep it alive."""
        self._hang_up()
        self.tier.forget_after_fork()
        self._reset()

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()  # in a child it closes without a word to the server

    def _run(self) -> None:
        pauses = _pauses()
        while not self._stopping.is_set():
            connection = None
            try:
                connection = self._connection = self._connect()
                self._subscribe(connection)
                pauses = _pauses()
                self._listen(connection)
            except Exception as error:  # noqa: BLE001 - whatever it is, the tier is off and we try again
                self.tier.switch_off()  # before anybody is told, who may take their time
                self._lost(error)
            finally:
                self.tier.switch_off()
                if connection is not None:  # whoever hung up: it may have connected once more
                    connection.disconnect()
            self._stopping.wait(next(pauses))

    def _subscribe(self, connection: Any) -> None:
        connection.connect()
        identity = _ask(connection, "CLIENT", "ID")
        _ask(
            *(connection, "CLIENT", "TRACKING", "ON", "REDIRECT", identity),
            *("BCAST", "PREFIX", self.prefix),
        )
        _ask(connection, "SUBSCRIBE", CHANNEL)

    def _listen(self, connection: Any) -> None:
        silent = False
        self.tier.switch_on()
        self._heard()
        while not self._stopping.is_set():
            if connection.can_read(timeout=PATIENCE):
                self._tell(connection.read_response(disable_decoding=True))
                silent = False
            elif silent:
                raise TimeoutError(f"no answer for {2 * PATIENCE} seconds")
            else:
                connection.send_command("PING")
                silent = True

    def _tell(self, message: list[Any]) -> None:
        if message[0] != b"message":
            return
        if message[2] is None:  # FLUSHALL, FLUSHDB, or the server lost track
            self.tier.clear()
        else:
            self.tier.drop(name.decode("utf-8", "replace") for name in message[2])

    def _heard(self) -> None:
        if self._is_deaf:
            self._is_deaf = False
            CACHE_LOCAL_TIER.emit(alias=self.name, state="on")

    def _lost(self, error: Exception) -> None:
        if not self._is_deaf and not self._stopping.is_set():
            self._is_deaf = True
            CACHE_LOCAL_TIER.emit(alias=self.name, state="off", error=repr(error))


def _ask(connection: Any, *command: Any) -> Any:
    connection.send_command(*command)
    return connection.read_response(disable_decoding=True)


def _pauses() -> Iterator[float]:
    """Return how long to wait before each try: longer each time, and not with all other processes at once."""
    pause = FIRST_PAUSE
    while True:
        yield pause * (0.5 + random() / 2)  # noqa: S311 - no secret
        pause = min(2 * pause, LONGEST_PAUSE)
