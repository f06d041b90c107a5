"""Pins: what a visitor must be able to see, by alias of the primary; the inside of a consistency token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from scalekit.db.positions import Position, read_position

MAX_PINS = 64
CLOCK_SKEW = 5.0  # seconds by which the clocks of two web servers may differ


class Pin(NamedTuple):
    """Until `expiry` (unix seconds) only what has replayed the position may answer.

    Without a position, system 0, only the primary may: what was written stands nowhere that one could
    compare, as on MySQL, or its transaction was still open.
    """

    expiry: float
    system: int = 0
    timeline: int = 0
    lsn: int = 0

    @property
    def position(self) -> Position | None:
        return Position(*self[1:]) if self.system else None

    def merged(self, other: Pin) -> Pin:
        """Return the pin that demands what both demand; a position never moves back."""
        one, two = sorted((self, other), key=lambda pin: pin.expiry, reverse=True)
        if one.position is None or two.position is None:
            return Pin(one.expiry)
        return Pin(one.expiry, *one.position.later(two.position))


Pins = dict[str, Pin]


def merged(one: Pins, other: Pins) -> Pins:
    """Return pins that demand what both demand."""
    both = {alias: pin.merged(other[alias]) for alias, pin in one.items() if alias in other}
    return {**one, **other, **both}


def load_pins(raw: Any, *, now: float, life: float) -> Pins:
    """Return the pins that came from outside and are still alive.

    Raises ValueError or TypeError for what this site cannot have written.
    """
    if not isinstance(raw, Mapping) or len(raw) > MAX_PINS:
        raise TypeError("pins are no small mapping")
    latest = now + life + CLOCK_SKEW
    pins = {alias: _pin(alias, value, latest) for alias, value in raw.items()}
    return {alias: pin for alias, pin in pins.items() if pin.expiry > now}


def _pin(alias: Any, value: Any, latest: float) -> Pin:
    if not isinstance(alias, str) or not isinstance(value, (list, tuple)):
        raise TypeError("a pin is no pair of alias and list")
    expiry, *position = value
    if not isinstance(expiry, (int, float)) or isinstance(expiry, bool):
        raise TypeError("a pin expires at no time")
    if not 0 < expiry <= latest:
        raise ValueError("a pin expires at an absurd time")
    return Pin(expiry, *read_position(*position)) if any(position) else Pin(expiry)
