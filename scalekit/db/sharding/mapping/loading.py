"""The stored map as this process knows it: read at its first use, then every few seconds off the hot path."""

from __future__ import annotations

import os
from threading import Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING

from django.db import Error

from scalekit.core.exceptions import SettingInvalid
from scalekit.db.events import SHARD_MAP_CHANGED, SHARD_MAP_UNREAD
from scalekit.db.exceptions import ShardMapUnavailable
from scalekit.db.sharding.mapping.connecting import ask
from scalekit.db.sharding.mapping.reading import read_map

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalekit.core.exceptions import ScalekitError
    from scalekit.db.sharding.base import ShardingScheme
    from scalekit.db.sharding.mapping.slot_map import SlotMap

BACK_OFF = 1.0  # seconds in which a map that could not be read, or does not fit, is not read again

_reading = Lock()


class StoredMap:
    """The map that decides in one group. Called for every shard that is looked up: 0.1 µs while it is fresh."""

    def __init__(self, scheme: ShardingScheme, seconds: Callable[[], float]) -> None:
        self._scheme, self._seconds = scheme, seconds
        self._known: SlotMap | None = None
        self._due = 0.0
        self._reader: Thread | None = None
        self._failed: tuple[float, ScalekitError | None] = (0.0, None)

    def __call__(self) -> SlotMap:
        """Return the map. Raises `ShardMapUnavailable` if it was never read and cannot be."""
        known = self._known
        if known is None:
            return self._first()
        if monotonic() >= self._due:
            self._renew()
        return known

    @property
    def version(self) -> int | None:
        """The version this process goes by, None before the first use."""
        return None if self._known is None else self._known.version

    def reload(self) -> SlotMap:
        """Read the map now. Raises `ShardMapUnavailable`, or `SettingInvalid` if the options do not fit it."""
        with _reading:
            return self._read()

    def _first(self) -> SlotMap:
        with _reading:
            if self._known is not None:
                return self._known
            since, failure = self._failed
            if failure is not None and monotonic() - since < BACK_OFF:
                raise type(failure)(str(failure))
            try:
                return self._read()
            except (ShardMapUnavailable, SettingInvalid) as error:
                self._failed = monotonic(), error
                raise

    def _read(self) -> SlotMap:
        keys = not self._scheme.looks_up_keys
        try:
            found = ask(lambda c: read_map(c, self._scheme.alias, self._known, keys=keys))
        except Error as error:
            raise self._unavailable(str(error).strip()) from error
        return self._take(found)

    def _take(self, found: SlotMap | None) -> SlotMap:
        """Go by `found` unless it is older than what is known, as from a server that was restored."""
        known = self._known
        if found is None or (known is not None and found.version < known.version):
            found = known or self._scheme.initial_map()
        if found is not known:
            self._scheme.check_map(found)
            if known is not None:
                SHARD_MAP_CHANGED.emit(group=self._scheme.alias, version=found.version)
            self._known = found
        self._due = monotonic() + self._seconds()
        return found

    def _renew(self) -> None:
        """Read the map in the background, unless that is under way; its users go on with what they have."""
        self._due = monotonic() + self._seconds()
        if self._reader is None or not self._reader.is_alive():
            self._reader = Thread(
                target=self._renew_here, name="scalekit-shard-map-renew", daemon=True
            )
            self._reader.start()

    def _renew_here(self) -> None:
        try:
            self.reload()
        except Exception as error:  # noqa: BLE001 - the map that is known goes on to serve
            SHARD_MAP_UNREAD.emit(group=self._scheme.alias, error=str(error).strip())

    def _unavailable(self, why: str) -> ShardMapUnavailable:
        known = (
            "a slot has moved" if self._known else "this process needs it once to find any shard"
        )
        return ShardMapUnavailable(
            f"The slot map of the shard group {self._scheme.alias!r} cannot be read from 'default', and {known}: {why}"
        )


def _forget_after_fork() -> None:
    global _reading  # noqa: PLW0603 - a lock that the parent's threads held stays locked in the child
    _reading = Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_after_fork)
