"""The thread that looks at every server once a second, in each process that reads from replicas."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.db import connections

from scalekit.db.conf import discoveries, settings
from scalekit.db.events import MONITOR_BLIND, PRIMARY_SILENT, REPLICA_LAG
from scalekit.db.monitor.judging import SLOW_PROBES, History, fault_of, proven, slowest
from scalekit.db.monitor.sights import UNSEEN, Observation, Sight
from scalekit.db.rotation import rotation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scalekit.db.monitor.probing import Slot
    from scalekit.db.positions import Position
    from scalekit.db.topology import Cluster, Primary

logger = logging.getLogger("scalekit.db")

PROBE_LIMIT = 0.75  # of the time between two probes: a hung server is out within two of them
SHORTEST_INTERVAL = 0.1  # seconds
UNREACHABLE, HUNG = "unreachable", "hung"


class Monitor:
    """One daemon thread with connections of its own; `sights` is what it saw last.

    It starts with the first read that may go to a replica, so commands and migrations have none, and a
    process that was forked from one that had it starts its own.
    """

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()  # of the thread's beginning and end
        self._sights_lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        with self._sights_lock:
            self.cluster: Cluster | None = None
            self.sights: Mapping[str, Sight] = {}
            self._thread: threading.Thread | None = None
            self._round: _Round | None = None

    def watch(self, cluster: Cluster) -> None:
        """Begin to watch the servers of a cluster, unless that is so already or nothing can be watched."""
        if self.cluster is cluster and (self._thread is None or self._thread.is_alive()):
            return
        with self._lock:
            if self.cluster is cluster and (self._thread is None or self._thread.is_alive()):
                return
            self._stop()
            self.cluster = cluster
            primaries = _watchable(cluster)
            if primaries and settings.PROBE_SECONDS:
                self._round = _Round(self, primaries)
                self._thread = threading.Thread(
                    target=self._round.run, name="scalekit-db-monitor", daemon=True
                )
                self._thread.start()

    def stop(self) -> None:
        """End the thread, close its connections and forget what it saw."""
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        thread, watcher = self._thread, self._round
        self._forget()
        if watcher is not None and thread is not None:
            watcher.stop()
            if thread is not threading.current_thread():
                thread.join(timeout=2)
            rotation.acquit_all()

    def forget_after_fork(self) -> None:
        """Be new in a child process, where the thread does not exist and its sockets are the parent's."""
        self._reset()

    def sight_of(self, alias: str) -> Sight:
        return self.sights.get(alias, UNSEEN)

    def learn(self, alias: str, position: Position) -> None:
        """Take note of what a request has found out about a replica: all others may rely on it."""
        with self._sights_lock:
            self.sights = {
                **self.sights,
                alias: self.sight_of(alias).proving(position, monotonic()),
            }

    def publish(self, watcher: _Round, sights: Mapping[str, Sight]) -> None:
        with self._sights_lock:
            if watcher is self._round:
                self.sights = {a: _kept(new, self.sight_of(a)) for a, new in sights.items()}


def _kept(new: Sight, old: Sight) -> Sight:
    """Keep what a request has learned while the probe was under way, and nothing older.

    A standby that was restarted may show less than it did before.
    """
    if old.proven is None or new.observed is None:
        return new
    began = new.observed.at - new.observed.took
    return new.proving(old.proven, old.learned) if old.learned > began else new


def _watchable(cluster: Cluster) -> list[Primary]:
    """Return the primaries on PostgreSQL that have replicas, where psycopg 3 is there to ask them."""
    try:
        import psycopg  # noqa: F401 - psycopg2 cannot wait for several servers in one thread
    except ImportError:
        return []
    return [
        primary
        for primary in cluster.primaries.values()
        if primary.replicas and connections[primary.alias].vendor == "postgresql"
    ]


class _Round:
    """One life of the thread: the same servers, again and again."""

    def __init__(self, monitor: Monitor, primaries: list[Primary]) -> None:
        self._monitor, self._primaries = monitor, primaries
        self._histories = {primary.alias: History() for primary in primaries}
        self._slow: dict[str, int] = {}
        self._blind: set[str] = set()
        self._slots: dict[str, Slot] = {}
        self._sights: dict[str, Sight] = {}
        self._stopping = threading.Event()
        self._wake: Any = None

    def stop(self) -> None:
        self._stopping.set()
        if self._wake is not None:
            self._wake()

    def run(self) -> None:
        try:
            # Not the policy's loop: that may be one on which psycopg cannot wait.
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._watch())
        except Exception:  # the next read starts another thread
            logger.exception("The monitor of the databases ended")

    async def _watch(self) -> None:
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        self._wake = lambda: _call(loop, stopped.set)
        stop = loop.create_task(stopped.wait())
        self._slots = _slots(self._primaries)
        try:
            while not self._stopping.is_set():
                began = monotonic()
                await self._look_at_all(began)
                rest = _interval() - (monotonic() - began)
                await asyncio.wait([stop], timeout=max(rest, 0.05))
        finally:
            self._wake = None
            stop.cancel()
            await asyncio.gather(*(slot.close() for slot in self._slots.values()))

    async def _look_at_all(self, began: float) -> None:
        probes = [slot.begin() for slot in self._slots.values()]
        limit = PROBE_LIMIT * _interval()
        await asyncio.wait(probes, timeout=limit)
        if monotonic() - began > 2 * limit + 0.1:
            return  # this process stood still, not its servers
        found = {alias: self._outcome(slot) for alias, slot in self._slots.items()}
        took = {a: seen.took for a, seen in found.items() if isinstance(seen, Observation)}
        outliers = slowest(took)
        for alias in self._slots:
            self._slow[alias] = self._slow.get(alias, 0) + 1 if alias in outliers else 0
        for primary in self._primaries:
            await self._judge(primary, found)
        self._monitor.publish(self, dict(self._sights))

    def _outcome(self, slot: Slot) -> Observation | str:
        """Return what a server answered, or what its silence means; "" if that cannot be told."""
        from scalekit.db.monitor.probing import Blind

        probe = slot.probe
        if probe is None or not probe.done():
            return HUNG if slot.answered else ""  # a first connection may take its time
        if probe.cancelled():
            return HUNG
        error = probe.exception()
        if error is None:
            self._blind.discard(slot.alias)
            return probe.result()
        if isinstance(error, Blind):
            if slot.alias not in self._blind:
                self._blind.add(slot.alias)
                MONITOR_BLIND.emit(alias=slot.alias, error=str(error).strip())
            return ""
        return UNREACHABLE

    async def _judge(self, primary: Primary, found: dict[str, Observation | str]) -> None:
        leader = self._leader(primary, found)
        if leader is None and isinstance(found[primary.alias], Observation):
            # A standby, or a primary that was replaced: ask again who it is now.
            await self._slots[primary.alias].forget()
        for replica in primary.replicas:
            seen = found[replica.alias]
            sight = (
                self._sight(replica.alias, seen, primary, leader)
                if isinstance(seen, Observation)
                else Sight(reason=seen)
            )
            self._sights[replica.alias] = sight
            if not self._stopping.is_set():
                rotation.judge(replica.alias, sight.reason)

    def _leader(self, primary: Primary, found: dict[str, Observation | str]) -> Observation | None:
        """Return what the primary answered, and remember it; None while there is no primary."""
        seen = found[primary.alias]
        if not isinstance(seen, Observation):
            self._sights[primary.alias] = Sight(reason=seen)
            if seen:
                PRIMARY_SILENT.emit(alias=primary.alias)
            return None
        history = self._histories[primary.alias]
        if seen.standby or history.outdates(seen.position):
            self._sights[primary.alias] = Sight(reason="no primary", observed=seen)
            return None
        history.add(seen.at, seen.position)
        self._sights[primary.alias] = Sight(proven=seen.position, observed=seen)
        return seen

    def _sight(
        self, alias: str, seen: Observation, primary: Primary, leader: Observation | None
    ) -> Sight:
        before, history = self._sights.get(alias, UNSEEN), self._histories[primary.alias]
        is_same_log = not seen.exact or history.log == seen.position[:2]
        lag = history.lag(seen.position.lsn) if is_same_log else 0.0
        REPLICA_LAG.emit(alias=alias, lag=lag)
        reason = fault_of(seen, leader, lag, settings.MAX_LAG, before.reason)
        if not reason and self._slow[alias] >= SLOW_PROBES:
            reason = "slow"
        known = self._monitor.sight_of(alias).proven  # with what requests have learned
        return Sight(reason, lag, proven(seen, before.observed, leader, known), seen)


def _interval() -> float:
    return max(settings.PROBE_SECONDS, SHORTEST_INTERVAL)


def _slots(primaries: list[Primary]) -> dict[str, Slot]:
    from scalekit.db.monitor.probing import Slot

    slots = {}
    for primary in primaries:
        slots[primary.alias] = Slot(primary.alias, partial(_params, primary.alias, primary=True))
        for replica in primary.replicas:
            params = partial(_params, replica.alias, primary=False)
            slots[replica.alias] = Slot(replica.alias, params)
    return slots


def _params(alias: str, *, primary: bool) -> dict[str, Any]:
    """Return how Django would connect, without what belongs to Django's own use of the connection."""
    params: dict[str, Any] = connections.create_connection(alias).get_connection_params()
    for name in ("cursor_factory", "context"):
        params.pop(name, None)
    if primary and alias in discoveries and (found := discoveries[alias].primary()) is not None:
        params["host"], params["port"] = found
    if primary and "," in str(params.get("host", "")):
        params.setdefault("target_session_attrs", "read-write")
    return params


def _call(loop: asyncio.AbstractEventLoop, function: Any) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(function)


monitor = Monitor()
atexit.register(monitor.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=monitor.forget_after_fork)
