"""The databases that are migrated as shards."""

from __future__ import annotations

from django.core.management import CommandError

from scalekit.db.conf import schemes
from scalekit.db.sharding.mapping.naming import groups_named


def groups_of(group: str | None) -> list[str]:
    """Return a group, or all, without those whose rows their engine spreads: that is one database, as any other."""
    return [name for name in groups_named(group) if not schemes[name].spreads_itself]


def aliases_of(group: str | None) -> list[str]:
    """Return the shards of a group, or of all, in the order of the setting."""
    return list(dict.fromkeys(alias for name in groups_of(group) for alias in schemes[name].shards))


def parts(aliases: list[str], canary: str | None) -> list[list[str]]:
    """Return the shards in the order of their parts: a canary alone, if one is asked for ("": the first)."""
    if canary is None or not aliases:
        return [aliases]
    first = canary or aliases[0]
    if first not in aliases:
        raise CommandError(f"--canary is {first!r}, which is none of: {', '.join(aliases)}.")
    return [[first], [alias for alias in aliases if alias != first]]
