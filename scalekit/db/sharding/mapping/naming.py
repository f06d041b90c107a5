"""What a command's user has typed: a shard group, slots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalekit.db.conf import schemes, settings
from scalekit.db.exceptions import ShardMapInvalid

if TYPE_CHECKING:
    from scalekit.db.sharding.base import ShardingScheme


def scheme_named(group: str) -> ShardingScheme:
    """Return the scheme of a group. Raises `ShardMapInvalid` for one that the setting has not."""
    if group not in settings.SHARDING:
        known = ", ".join(settings.SHARDING) or "none"
        raise ShardMapInvalid(
            f"There is no shard group {group!r}; SCALEKIT_DB_SHARDING has {known}."
        )
    return schemes[group]


def groups_named(group: str | None) -> list[str]:
    """Return that group, or all that have a map."""
    if group is None:
        return [name for name in settings.SHARDING if not schemes[name].spreads_itself]
    scheme_named(group)
    return [group]


def slots_named(text: str) -> list[int]:
    """Return the slots of ``"0-99,200"``. Raises `ShardMapInvalid`."""
    slots: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal()) or int(first) > int(last):
            raise ShardMapInvalid(
                f"{part.strip()!r} names no slots; write numbers and ranges, as in 0-99,200."
            )
        slots.extend(range(int(first), int(last) + 1))
    return slots
