"""What the current unit of work knows about its databases."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scalekit.core.context import Fact, current_unit
from scalekit.db.conf import settings

Pins = dict[str, float]
MAX_PINS = 64
CLOCK_SKEW = 5.0  # seconds by which the clocks of two web servers may differ


@dataclass(slots=True)
class Dealings:
    """What one unit of work has done so far, by alias of the primary."""

    replicas: dict[str, str] = field(default_factory=dict)  # the replica it reads from
    uncommitted: set[str] = field(default_factory=set)  # written, transaction still open
    written: set[str] = field(default_factory=set)  # written and committed


@dataclass(frozen=True, slots=True)
class Override:
    """A `using_primary` or `using_replica` block, and the replicas that the latter keeps."""

    role: str
    primary: str | None = None
    replicas: dict[str, str] = field(default_factory=dict)

    def covers(self, primary: str) -> bool:
        return self.primary is None or self.primary == primary


def load_pins(raw: Any) -> Pins:
    """Return the pins that came from outside and are still alive: primary -> expiry in unix seconds.

    Raises ValueError or TypeError for what this site cannot have written.
    """
    if not isinstance(raw, Mapping) or len(raw) > MAX_PINS:
        raise TypeError("pins are no small mapping")
    now = time.time()
    latest = now + settings.PIN_SECONDS + CLOCK_SKEW
    return {alias: expiry for alias, expiry in raw.items() if _alive(alias, expiry, now, latest)}


def _alive(alias: Any, expiry: Any, now: float, latest: float) -> bool:
    if not isinstance(alias, str) or isinstance(expiry, bool):
        raise TypeError("a pin is no pair of alias and time")
    if not isinstance(expiry, (int, float)) or not 0 < expiry <= latest:
        raise ValueError("a pin expires at an absurd time")
    return bool(expiry > now)


def load_shards(raw: Any) -> dict[str, int]:
    """Return shard group -> slot, as it travelled with a message."""
    if not isinstance(raw, Mapping) or len(raw) > MAX_PINS:
        raise TypeError("shards are no small mapping")
    for group, slot in raw.items():
        if not isinstance(group, str) or isinstance(slot, bool) or not isinstance(slot, int):
            raise TypeError("a shard is no pair of group and slot")
        if not 0 <= slot < 1 << 12:
            raise ValueError("there is no such slot")
    return dict(raw)


PINS: Fact[Pins] = Fact("db_pins", {}, portable=True, load=load_pins)
SHARDS: Fact[dict[str, int]] = Fact("db_shards", {}, portable=True, load=load_shards)
REQUEST_SHARDS: Fact[Callable[[], Mapping[str, Any]] | None] = Fact("db_request_shards", None)
DEALINGS: Fact[Dealings | None] = Fact("db_dealings", None)
OVERRIDE: Fact[Override | None] = Fact("db_override", None)


def dealings() -> Dealings | None:
    """Return the record of the current unit of work; None outside any."""
    known = DEALINGS.get()
    if known is not None or current_unit() is None:
        return known
    known = Dealings()
    DEALINGS.set(known)
    return known


def pin(primary: str) -> None:
    """Send reads of this unit of work, and of jobs it enqueues, to `primary` for PIN_SECONDS."""
    expiry = time.time() + settings.PIN_SECONDS
    PINS.set({**PINS.get(), primary: expiry})
