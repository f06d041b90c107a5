"""Give a query on a known primary its server: the primary itself, or one of its replicas."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from django.db import connections

from scalekit.db.cluster import current_cluster
from scalekit.db.conf import balancer_of, settings
from scalekit.db.events import PIN_REFUSED, READ_ROUTED
from scalekit.db.facts import OVERRIDE, Dealings, Override, dealings, living_pin
from scalekit.db.monitor.waiting import shows
from scalekit.db.monitor.watching import monitor
from scalekit.db.rotation import rotation
from scalekit.db.routing import choose, nearest, why_primary
from scalekit.db.transactions import is_open, is_testing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalekit.db.positions import Position
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
        pinned=done is not None and alias in done.written,
        unsafe=done is not None and done.unsafe,
    )
    chosen = alias
    if not reason:
        chosen, reason = _stale(primary, override, done) if override else _fresh(primary, done)
    READ_ROUTED.emit(alias=chosen, reason=reason)
    return chosen


def _stale(primary: Primary, override: Override, done: Dealings | None) -> tuple[str, str]:
    """Choose inside ``using_replica()``, whose choice binds nobody outside, who may demand more."""
    kept = override.replicas.get(primary.alias)
    if kept is None and done is not None:
        kept = done.replicas.get(primary.alias)
    kept = None if kept == primary.alias else kept
    chosen, reason = choose(primary, _in_rotation(primary), kept, _balanced)
    override.replicas[primary.alias] = chosen
    return chosen, reason


def _fresh(primary: Primary, done: Dealings | None) -> tuple[str, str]:
    """Choose a server for a unit of work that must see what its visitor has written."""
    kept = {} if done is None else done.replicas
    before = kept.get(primary.alias)
    if before is not None and (not rotation.troubled or _is_there(before, primary)):
        return before, "kept"  # most reads end here
    usable = _in_rotation(primary)
    pin = living_pin(primary.alias, done)
    caught_up = None if pin is None else _caught_up(primary, usable, pin.position)
    chosen, reason = choose(primary, usable, None, _balanced, caught_up)
    if reason == "pinned" and pin is not None:
        chosen, reason = _waited(primary, usable, pin.position)
    if reason != "no replica in rotation":
        kept[primary.alias] = chosen
    return chosen, reason


def _is_there(server: str, primary: Primary) -> bool:
    return server == primary.alias or rotation.usable(server)


def _in_rotation(primary: Primary) -> Sequence[Replica]:
    """Return the usable replicas, and have them watched from now on."""
    if not is_testing():
        monitor.watch(current_cluster())
    return usable_replicas(primary)


def _caught_up(
    primary: Primary, usable: Sequence[Replica], position: Position | None
) -> Sequence[Replica] | None:
    """Return those that are known to show a position; None for a demand that is not of this cluster."""
    if position is None:
        return ()
    leader = monitor.sight_of(primary.alias).proven
    if leader is not None and leader.system != position.system:
        PIN_REFUSED.emit(source="position", reason="another cluster")
        return None
    if leader is not None and leader.timeline < position.timeline:
        PIN_REFUSED.emit(source="position", reason="future timeline")
    return [replica for replica in usable if monitor.sight_of(replica.alias).has(position)]


def _waited(
    primary: Primary, usable: Sequence[Replica], position: Position | None
) -> tuple[str, str]:
    """Wait a moment for a replica that is about to catch up; else return the primary."""
    if position is not None and settings.MAX_WAIT:
        near = [r for r in usable if monitor.sight_of(r.alias).is_near(position)]
        if near:
            chosen = _balanced(primary, near).alias
            if shows(chosen, position, settings.MAX_WAIT):
                return chosen, "waited"
    return primary.alias, "pinned"


def may_answer(replica: str) -> bool:
    """Return whether a replica in rotation shows what this unit of work must see.

    For whoever runs a read again that another replica has failed.
    """
    if not rotation.usable(replica):
        return False
    primary, done, override = current_cluster().owner[replica], dealings(), OVERRIDE.get()
    if override is not None and override.role == "replica" and override.covers(primary):
        return True
    pin = living_pin(primary, done)
    if pin is None:
        return True
    position, sight = pin.position, monitor.sight_of(replica)
    return position is not None and sight.has(position)


def _balanced(primary: Primary, usable: Sequence[Replica]) -> Replica:
    return balancer_of(primary.alias).choose(usable)


def usable_replicas(primary: Primary) -> Sequence[Replica]:
    """Return the replicas in rotation, those of this zone if there are any."""
    replicas: Sequence[Replica] = primary.replicas
    if primary.mirrored and is_testing():
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
