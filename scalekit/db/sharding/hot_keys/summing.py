"""What all processes have seen in their last windows, added up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import DEFAULT_DB_ALIAS

from scalekit.db.conf import settings
from scalekit.db.sharding.hot_keys.models import KeyTraffic

FRESH = 2  # windows in which a process that still runs has stored another


@dataclass(frozen=True, slots=True)
class Traffic:
    """The keys of a group, by how often they were seen, of `total` sightings."""

    group: str
    processes: int
    total: int
    keys: tuple[tuple[str, int], ...]

    def share(self, count: int) -> float:
        return count / self.total if self.total else 0.0


def traffic_of(group: str, top: int) -> Traffic:
    """Return the last windows of all processes, with the keys seen most."""
    since = datetime.now(UTC) - timedelta(seconds=FRESH * settings.HOT_KEY_SECONDS)
    rows = KeyTraffic.objects.using(DEFAULT_DB_ALIAS).filter(group=group, ended_at__gte=since)
    processes, total, keys = 0, 0, Counter[str]()
    for row in rows:
        processes += 1
        total += row.total
        for key, count, error in row.keys:
            keys[key] += count - error
    return Traffic(group, processes, total, tuple(keys.most_common(top)))
