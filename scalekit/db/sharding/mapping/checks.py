"""What a check can find out about the stored map, which no setting shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.checks import (
    CheckMessage,
    Error,
    Warning,  # noqa: A004 - Django's name
)
from django.db import DEFAULT_DB_ALIAS, DatabaseError

from scalekit.core.exceptions import SettingInvalid
from scalekit.db.conf import schemes
from scalekit.db.exceptions import ShardMapUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator


def faults_of_map(group: str) -> Iterator[CheckMessage]:
    """Yield what is wrong between the stored map of a group and its setting."""
    from scalekit.db.sharding.mapping.models import ShardMapKey

    try:
        scheme = schemes[group]
        if scheme.stored is None:
            return
        version = scheme.map.version
        rows = ShardMapKey.objects.using(DEFAULT_DB_ALIAS).filter(group=group)
        lost = sorted(set(rows.values_list("shard", flat=True).distinct()) - {*scheme.shards})
    except SettingInvalid as error:
        yield Error(str(error), id="scalekit.db.E020")
        return
    except (ShardMapUnavailable, DatabaseError):
        return  # before migrate, or the database is down, which others say
    if lost:
        yield Error(
            f"SCALEKIT_DB_SHARDING[{group!r}] does not name {', '.join(lost)}, to which keys are assigned.",
            hint="Add it again, and assign its keys elsewhere before it is removed.",
            id="scalekit.db.E020",
        )
    if version == 0:
        yield Warning(
            f"No slot map is stored for the shard group {group!r}: a change of its setting would move slots, and "
            "leave their rows behind.",
            hint=f"Run manage.py shard_map init {group}, or migrate_shards, which does that too.",
            id="scalekit.db.W020",
        )
