"""What the current unit of work knows about its databases."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from scalekit.core.context import Fact, current_unit
from scalekit.db.conf import settings
from scalekit.db.pins import MAX_PINS, Pin, Pins, load_pins, merged

MAX_SHARD_TEXT = 300  # characters of a key or alias that a message may carry


@dataclass(slots=True)
class Dealings:
    """What one unit of work has done so far, by alias of the primary."""

    replicas: dict[str, str] = field(default_factory=dict)  # the server it reads from
    uncommitted: dict[str, Pin | None] = field(default_factory=dict)  # open; the pin before
    written: set[str] = field(default_factory=set)  # written and committed
    unsafe: bool = False  # the request's method announces a write


@dataclass(frozen=True, slots=True)
class Override:
    """A `using_primary` or `using_replica` block, and the replicas that the latter keeps."""

    role: str
    primary: str | None = None
    replicas: dict[str, str] = field(default_factory=dict)

    def covers(self, primary: str) -> bool:
        return self.primary is None or self.primary == primary


def load_carried_pins(raw: Any) -> Pins:
    """Return the pins that a message carried.

    One without a position was carried out of an open transaction: its life begins now, since a message
    may have waited for longer than that.
    """
    now, life = time.time(), settings.PIN_SECONDS
    fresh = now + life
    pins = load_pins(raw, now=0, life=fresh)
    return {
        alias: pin if pin.system else Pin(fresh)
        for alias, pin in pins.items()
        if pin.expiry > now or not pin.system
    }


def load_shards(raw: Any) -> dict[str, int | str]:
    """Return shard group -> slot, ``key:`` and a key or ``shard:`` and an alias, as it travelled with a message."""
    if not isinstance(raw, Mapping) or len(raw) > MAX_PINS:
        raise TypeError("shards are no small mapping")
    for group, bound in raw.items():
        if not isinstance(group, str) or isinstance(bound, bool):
            raise TypeError("a shard group is no text")
        if isinstance(bound, str):
            if not bound.startswith(("key:", "shard:", "any")) or len(bound) > MAX_SHARD_TEXT:
                raise ValueError("there is no such key or shard")
        elif not isinstance(bound, int):
            raise TypeError("a shard is neither slot, key nor alias")
        elif not 0 <= bound < 1 << 12:
            raise ValueError("there is no such slot")
    return dict(raw)


def shards_for(group: str | None, key: Any) -> dict[str, int | str]:
    """Return the shards of this unit of work, with that of `key` in `group`; in the only group, if None."""
    from scalekit.db.exceptions import ShardKeyRequired
    from scalekit.db.sharding.placing import binding_of

    if group is None and len(settings.SHARDING) != 1:
        raise ShardKeyRequired(
            f"Name the group: SCALEKIT_DB_SHARDING has {', '.join(settings.SHARDING) or 'none'}."
        )
    group = next(iter(settings.SHARDING)) if group is None else group
    return {**SHARDS.get(), group: binding_of(group, key)}


def _without_kept_replicas(done: Dealings | None) -> Dealings | None:
    """Return the record for a block that must see more: the replica that the unit reads from may not show it."""
    done = dealings() if done is None else done
    return None if done is None else replace(done, replicas={})


PINS: Fact[Pins] = Fact("db_pins", {}, portable=True, load=load_carried_pins, merge=merged)
SHARDS: Fact[dict[str, int | str]] = Fact("db_shards", {}, portable=True, load=load_shards)
SHARDS_FOR: Fact[Callable[[str | None, Any], dict[str, int | str]]] = Fact(
    "db_shards_for", shards_for
)
REQUEST_SHARDS: Fact[Callable[[], Mapping[str, Any]] | None] = Fact("db_request_shards", None)
_pinning = threading.Lock()
DEALINGS: Fact[Dealings | None] = Fact("db_dealings", None, renew=_without_kept_replicas)
OVERRIDE: Fact[Override | None] = Fact(
    "db_override", None, renew=lambda found: None if found and found.role == "replica" else found
)


def _forget_after_fork() -> None:
    global _pinning  # noqa: PLW0603 - a lock that the parent's threads held stays locked in the child
    _pinning = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)


def dealings() -> Dealings | None:
    """Return the record of the current unit of work; None outside any."""
    known, unit = DEALINGS.get(), current_unit()
    if known is not None or unit is None:
        return known
    made: Dealings = unit.setdefault(
        DEALINGS.name, Dealings()
    )  # in one step: threads may come at once
    return made


def pin(primary: str) -> None:
    """Send reads of this unit of work, and of jobs it enqueues, to `primary` for PIN_SECONDS."""
    with _pinning:
        PINS.set({**PINS.get(), primary: new_pin()})


def new_pin() -> Pin:
    """Return a pin without a position, which begins to live now."""
    return Pin(round(time.time() + settings.PIN_SECONDS, 3))


def living_pin(primary: str, done: Dealings | None) -> Pin | None:
    """Return what reads must be able to see; not what an open transaction may yet take back."""
    pins = PINS.get()
    found = pins.get(primary) if pins else None
    if done is not None and primary in done.uncommitted:
        found = done.uncommitted[primary]
    return found if found is not None and found.expiry > time.time() else None
