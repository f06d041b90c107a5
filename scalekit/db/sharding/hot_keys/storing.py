"""Each process stores what its last window saw, so that a command can sum them up."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, Error, connections

from scalekit.db.conf import settings
from scalekit.db.events import HOT_KEY, KEY_TRAFFIC_UNSTORED

if TYPE_CHECKING:
    from scalekit.db.sharding.hot_keys.counting import Recorder, Window

STORED = 100  # keys of each window
ENOUGH = 1000  # sightings in a window, below which no key is called hot: the first visitor is all of the traffic
KEPT = 10  # windows after which what a process stored is removed, by whichever process comes by


class Storer:
    """A thread that ends a window every SCALEKIT_DB_HOT_KEY_SECONDS."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.fork()

    def fork(self) -> None:
        # Containers may share a host's name, and each has a process 1.
        self.process = f"{socket.gethostname()[:80]}:{os.getpid()}:{token_hex(3)}"
        self._beginning = Lock()
        self._thread: Thread | None = None
        self._stopped = Event()
        self._complained = False

    def begin(self) -> None:
        with self._beginning:
            if self._thread is None:
                self._thread = Thread(target=self._run, name="scalekit-hot-keys", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the thread, without a last window."""
        thread, self._thread = self._thread, None
        self._stopped.set()
        if thread is not None:
            thread.join()
        self._stopped = Event()

    def close_window(self) -> None:
        """Announce the hot keys of the window that ends now, and store its counts."""
        windows = self._recorder.close_window(STORED)
        for window in windows:
            _announce(window)
        try:
            _store(self.process, windows)
            self._complained = False
        except Error as error:
            self._complain(error)

    def _run(self) -> None:
        stopped = self._stopped
        while not stopped.wait(settings.HOT_KEY_SECONDS):
            self.close_window()
            # It would be idle for the next minute.
            connections[DEFAULT_DB_ALIAS].close()

    def _complain(self, error: Error) -> None:
        """Say so once, until it works again: a table that is missing is missing every minute."""
        if not self._complained:
            KEY_TRAFFIC_UNSTORED.emit(error=str(error).strip())
        self._complained = True


def _announce(window: Window) -> None:
    if window.total < ENOUGH:
        return
    for sighting in window.keys:
        share = (sighting.count - sighting.error) / window.total
        if share > settings.HOT_KEY_SHARE:
            HOT_KEY.emit(group=window.group, key=sighting.key, share=round(share, 3))


def _store(process: str, windows: list[Window]) -> None:
    from scalekit.db.sharding.hot_keys.models import KeyTraffic

    rows = KeyTraffic.objects.using(DEFAULT_DB_ALIAS)
    for window in windows:
        rows.update_or_create(
            process=process,
            group=window.group,
            defaults={
                "began_at": _moment(window.began),
                "ended_at": _moment(window.ended),
                "total": window.total,
                "keys": [[s.key, s.count, s.error] for s in window.keys],
            },
        )
    old = timedelta(seconds=KEPT * settings.HOT_KEY_SECONDS)
    rows.filter(ended_at__lt=datetime.now(UTC) - old).delete()


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
