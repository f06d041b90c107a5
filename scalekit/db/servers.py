"""Give a query on a known primary its server: the primary itself, or one of its replicas."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any

from django.db import connections

from scalekit.db.cluster import current_cluster
from scalekit.db.conf import balancer_of, settings
from scalekit.db.events import READ_ROUTED
from scalekit.db.facts import OVERRIDE, PINS, Dealings, Override, dealings
from scalekit.db.rotation import rotation
from scalekit.db.routing import choose, nearest, why_primary
from scalekit.db.transactions import is_open

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalekit.db.topology import Primary, Replica


def read_alias(alias: str) -> str:
    """Return the server that a read of the data on primary `alias` goes to, and announce it."""
    primary = current_cluster().primaries[alias]
    if not primary.replicas:
        return alias
    override = OVERRIDE.get()
    if override is not None and not override.covers(alias):
        override = None
    done = dealings()
    reason = why_primary(
        role="" if override is None else override.role,
        in_unit=done is not None,
        in_transaction=in_transaction(alias),
        pinned=is_pinned(alias, done),
    )
    chosen = alias
    if not reason:
        kept = _kept(override, done)
        chosen, reason = choose(primary, usable_replicas(primary), kept.get(alias), _balanced)
        if reason == "balanced":
            kept[alias] = chosen
    READ_ROUTED.emit(alias=chosen, reason=reason)
    return chosen


def _kept(override: Override | None, done: Dealings | None) -> dict[str, str]:
    if done is not None:
        return done.replicas
    return {} if override is None else override.replicas


def _balanced(primary: Primary, usable: Sequence[Replica]) -> Replica:
    return balancer_of(primary.alias).choose(usable)


def usable_replicas(primary: Primary) -> Sequence[Replica]:
    """Return the replicas in rotation, those of this zone if there are any."""
    replicas: Sequence[Replica] = primary.replicas
    if primary.mirrored and _testing():
        replicas = [replica for replica in replicas if not replica.mirror]
    if rotation.troubled:
        replicas = [replica for replica in replicas if rotation.usable(replica.alias)]
    zone = settings.ZONE
    return nearest(replicas, zone) if zone else replicas


def in_transaction(alias: str) -> bool:
    """Return whether this thread has a transaction open on a primary.

    In an event loop's thread nobody can know: the transaction is open on the connection of the thread
    that runs the sync code. Then the answer is yes, since the primary is always right.
    """
    if asyncio._get_running_loop() is not None:  # noqa: SLF001 - get_running_loop raises instead, at ten times the cost
        return True
    return is_open(connections[alias])


def is_pinned(alias: str, done: Dealings | None) -> bool:
    """Return whether reads must see a write that replicas may not have yet."""
    expiry = PINS.get().get(alias)
    if expiry is None or (done is not None and alias in done.uncommitted):
        return False
    return (done is not None and alias in done.written) or time.time() < expiry


def _testing() -> bool:
    """Return whether Django's test environment is set up, in which TEST MIRROR stands for a replica.

    A mirror's connection cannot see the open transaction of a TestCase, so its primary is read instead.
    """
    utils: Any = sys.modules.get("django.test.utils")
    return utils is not None and hasattr(utils._TestState, "saved_data")  # noqa: SLF001
