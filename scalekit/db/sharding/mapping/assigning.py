"""Change the stored map, each time from one version to the next. Rows are moved by whoever calls this."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, transaction
from django.utils import timezone

from scalekit.db.conf import schemes
from scalekit.db.exceptions import ShardMapConflict, ShardMapInvalid
from scalekit.db.sharding.keys import canonical_text
from scalekit.db.sharding.mapping.models import ShardMap, ShardMapKey
from scalekit.db.sharding.mapping.reading import rolled, unrolled
from scalekit.db.sharding.mapping.slot_map import LONGEST_KEY
from scalekit.db.sharding.ranges import Ranges

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scalekit.db.sharding.base import ShardingScheme
    from scalekit.db.sharding.keys import ShardKey


def init_map(group: str) -> ShardMap:
    """Store the map of the settings as version 1, unless one is stored; return what is stored."""
    scheme = schemes[group]
    initial = scheme.initial_map()
    stored, made = ShardMap.objects.using(DEFAULT_DB_ALIAS).get_or_create(
        group=group,
        defaults={
            "version": 1,
            "assignments": rolled(initial.assignments),
            "boundaries": list(initial.boundaries),
            "live": initial.live,
        },
    )
    if made:
        _reload_after_commit(scheme)
    return stored


def assign_slots(group: str, assignments: Mapping[int, str], expected_version: int) -> int:
    """Say that these slots lie on other shards from now on; return the new version.

    For `Ranges` the numbers are those of its ranges. Raises `ShardMapConflict` if the stored map is no longer
    `expected_version`, `ShardMapInvalid` for a slot or shard that does not exist; both change nothing.
    """
    scheme = schemes[group]
    for alias in assignments.values():
        _check_shard(scheme, alias)
    with transaction.atomic(using=DEFAULT_DB_ALIAS):
        stored = _stored(group)
        slots = list(unrolled(stored.assignments))
        if not slots:
            raise ShardMapInvalid(f"In the shard group {group!r} keys are assigned, and no slots.")
        for slot, alias in assignments.items():
            if not 0 <= slot < len(slots):
                msg = f"The shard group {group!r} has no slot {slot}; it has 0 to {len(slots) - 1}."
                raise ShardMapInvalid(msg)
            slots[slot] = alias
        return _step(scheme, stored, expected_version, assignments=rolled(slots))


def assign_key(
    group: str, key: ShardKey, alias: str | None, expected_version: int | None = None
) -> int:
    """Give a key a shard of its own, or with None take that away; return the new version.

    Raises as `assign_slots` does; without `expected_version` the map may have changed before.
    """
    scheme, text = schemes[group], canonical_text(key)
    if len(text) > LONGEST_KEY:
        msg = (
            f"A key with a shard of its own has at most {LONGEST_KEY} characters, not {len(text)}."
        )
        raise ShardMapInvalid(msg)
    if alias is not None:
        _check_shard(scheme, alias)
    with transaction.atomic(using=DEFAULT_DB_ALIAS):
        stored = _stored(group)
        expected = stored.version if expected_version is None else expected_version
        version = _step(scheme, stored, expected)
        keys = ShardMapKey.objects.using(DEFAULT_DB_ALIAS)
        if alias is None:
            keys.filter(group=group, key=text).delete()
        else:
            keys.update_or_create(group=group, key=text, defaults={"shard": alias})
    return version


def split_range(group: str, boundary: ShardKey, expected_version: int) -> int:
    """Cut the range of `Ranges` that `boundary` lies in: both parts stay on its shard; return the new version."""
    scheme, text = schemes[group], canonical_text(boundary)
    if not isinstance(scheme, Ranges):
        raise ShardMapInvalid(
            f"The shard group {group!r} has no ranges; its scheme is {type(scheme).__name__}."
        )
    with transaction.atomic(using=DEFAULT_DB_ALIAS):
        stored = _stored(group)
        at = scheme.range_of(boundary, stored.boundaries)
        if text in stored.boundaries:
            raise ShardMapInvalid(f"A range of {group!r} begins at {boundary!r} already.")
        runs = list(unrolled(stored.assignments))
        runs.insert(at, runs[at])
        boundaries = [*stored.boundaries[:at], text, *stored.boundaries[at:]]
        return _step(
            scheme, stored, expected_version, assignments=rolled(runs), boundaries=boundaries
        )


def set_live(group: str, expected_version: int, *, live: bool = True) -> int:
    """Say that the rows lie on the shards from now on, or with False where they began; return the new version.

    Raises `ShardMapConflict` as `assign_slots` does.
    """
    with transaction.atomic(using=DEFAULT_DB_ALIAS):
        return _step(schemes[group], _stored(group), expected_version, live=live)


def _step(scheme: ShardingScheme, stored: ShardMap, expected: int, **values: object) -> int:
    """Go from the expected version to the next, or change nothing."""
    rows = ShardMap.objects.using(DEFAULT_DB_ALIAS).filter(group=stored.group, version=expected)
    changed = stored.version == expected and rows.update(
        version=expected + 1, changed_at=timezone.now(), **values
    )
    if not changed:
        raise ShardMapConflict(
            f"The slot map of {stored.group!r} is no longer at version {expected}: somebody changed it meanwhile. "
            "Nothing was changed; look at it again (manage.py shard_map show) and decide anew."
        )
    _reload_after_commit(scheme)
    return expected + 1


def _stored(group: str) -> ShardMap:
    found = ShardMap.objects.using(DEFAULT_DB_ALIAS).filter(group=group).first()
    if found is None:
        raise ShardMapInvalid(
            f"No slot map is stored for {group!r}; run manage.py shard_map init {group}."
        )
    return found


def _check_shard(scheme: ShardingScheme, alias: str) -> None:
    if alias not in scheme.shards:
        known = ", ".join(scheme.shards)
        raise ShardMapInvalid(f"{alias!r} is no shard of {scheme.alias!r}; shards are: {known}.")


def _reload_after_commit(scheme: ShardingScheme) -> None:
    """Let this process go by the new map at once; others follow within SCALEKIT_DB_SHARD_MAP_SECONDS."""
    for stored in schemes.stored_maps():
        if stored is scheme.stored:
            transaction.on_commit(stored.reload, using=DEFAULT_DB_ALIAS, robust=True)
