"""The databases that are migrated as shards."""

from __future__ import annotations

from django.core.management import CommandError

from scalekit.db.conf import schemes, settings


def aliases_of(group: str | None) -> list[str]:
    """Return the shards of a group, or of all, in the order of the setting.

    Where the engine spreads the rows there is one database, which `migrate` knows how to migrate.
    """
    if group is not None and group not in settings.SHARDING:
        known = ", ".join(settings.SHARDING) or "none"
        raise CommandError(f"There is no shard group {group!r}; SCALEKIT_DB_SHARDING has {known}.")
    groups = [schemes[name] for name in settings.SHARDING if group in (None, name)]
    return list(
        dict.fromkeys(
            alias for scheme in groups if not scheme.spreads_itself for alias in scheme.shards
        )
    )


def parts(aliases: list[str], canary: str | None) -> list[list[str]]:
    """Return the shards in the order of their parts: a canary alone, if one is asked for ("": the first)."""
    if canary is None or not aliases:
        return [aliases]
    first = canary or aliases[0]
    if first not in aliases:
        raise CommandError(f"--canary is {first!r}, which is none of: {', '.join(aliases)}.")
    return [[first], [alias for alias in aliases if alias != first]]
