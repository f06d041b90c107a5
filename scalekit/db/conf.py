"""The settings of replicas and shards."""

from __future__ import annotations

import math
from typing import Any

from scalekit.core.backends import Backends
from scalekit.core.conf import Setting, Settings
from scalekit.db.balancing.base import Balancer
from scalekit.db.discovery.base import Discovery
from scalekit.db.pinning.base import Pinning
from scalekit.db.sharding.base import ShardingScheme
from scalekit.db.sharding.mapping.key_store import StoredKeys
from scalekit.db.sharding.mapping.loading import StoredMap
from scalekit.db.sharding.resolvers.base import ShardResolver

SECONDS: tuple[type, ...] = (int, float)
Plugs = dict[str, dict[str, Any]]


def _positive(value: float) -> bool:
    return value > 0 and math.isfinite(value)


def _not_negative(value: float) -> bool:
    return value >= 0 and math.isfinite(value)


def _is_share(value: float) -> bool:
    return 0 < value <= 1


def _has_default(plugs: Plugs) -> bool:
    return "default" in plugs


def _is_fanout(value: str) -> bool:
    return value in {"auto", "replication", "outbox"}


def _are_names(value: list[str]) -> bool:
    return all(isinstance(name, str) for name in value)


class DbSettings(Settings):
    prefix = "SCALEKIT_DB_"

    PIN_SECONDS = Setting[float](
        60.0,
        "Seconds for which what a visitor wrote is remembered; well above SCALEKIT_DB_MAX_LAG.",
        kind=SECONDS,
        valid=_positive,
        expected="a positive number",
    )
    MAX_LAG = Setting[float](
        10.0,
        "Seconds a replica may lag behind its primary before it is out of rotation.",
        kind=SECONDS,
        valid=_positive,
        expected="a positive number",
    )
    MAX_WAIT = Setting[float](
        0.02,
        "Seconds a read may wait for a replica that is about to show what its visitor wrote; 0 is never.",
        kind=SECONDS,
        valid=_not_negative,
        expected="a number from 0 on",
    )
    PROBE_SECONDS = Setting[float](
        1.0,
        "Seconds between two probes of each server by the monitor of a process; 0 is no monitor.",
        kind=SECONDS,
        valid=_not_negative,
        expected="a number from 0 on",
    )
    RETRY_SECONDS = Setting[float](
        5.0,
        "Seconds for which a failed replica is left alone before one read tries it again.",
        kind=SECONDS,
        valid=_positive,
        expected="a positive number",
    )
    ZONE = Setting[str](
        "",
        "The zone this process runs in; replicas of the same SCALEKIT ZONE are preferred.",
        kind=str,
    )
    BALANCER = Setting[Plugs](
        lambda: {"default": {"BACKEND": "scalekit.db.balancing.weighted.Weighted"}},
        "Which replica a request reads from, by alias of the primary; `default` is for all others.",
        kind=dict,
        valid=_has_default,
        expected='a dict with the alias "default"',
    )
    PINNING = Setting[Plugs](
        lambda: {"default": {"BACKEND": "scalekit.db.pinning.cookie.CookiePinning"}},
        "Who remembers that a visitor wrote.",
        kind=dict,
        valid=_has_default,
        expected='a dict with the alias "default"',
    )
    DISCOVERY = Setting[Plugs](
        dict,
        "Who knows where a primary is, by its alias; without one, its HOST may list several servers.",
        kind=dict,
    )
    FAILOVER_WAIT = Setting[float](
        1.0,
        "Seconds, from when a primary went away, for which a query that has not begun waits for the next.",
        kind=SECONDS,
        valid=_not_negative,
        expected="a number from 0 on",
    )
    RETRY_AFTER = Setting[int](
        5,
        "Seconds after which a client that could not write is asked to try again.",
        kind=int,
        valid=_positive,
        expected="a positive whole number",
    )
    SHARDING = Setting[Plugs](
        dict, "The shard groups: which scheme spreads keys over which databases.", kind=dict
    )
    SHARD_SELECTOR = Setting[str | Plugs](
        "",
        "The keys a request works on: a resolver for each group, or the dotted path of a function: "
        "request -> {group: key}.",
        kind=(str, dict),
        example={"users": {"BACKEND": "scalekit.db.sharding.resolvers.user.UserResolver"}},
    )
    SHARD_LOCK = Setting[bool](
        True,
        "Whether a request that ShardSelector has given a shard may use no other of that group.",
        kind=bool,
    )
    SHARD_MAP_SECONDS = Setting[float](
        5.0,
        "Seconds after which a process reads the stored slot map again, in the background.",
        kind=SECONDS,
        valid=_positive,
        expected="a positive number",
    )
    HOT_KEYS = Setting[bool](
        True,
        "Whether each process counts which shard keys it is asked for most, and stores that each window.",
        kind=bool,
    )
    HOT_KEY_SECONDS = Setting[float](
        60.0,
        "Seconds of a window in which shard keys are counted.",
        kind=SECONDS,
        valid=_positive,
        expected="a positive number",
    )
    HOT_KEY_SHARE = Setting[float](
        0.1,
        "The share of its group's traffic above which one key is announced as hot.",
        kind=SECONDS,
        valid=_is_share,
        expected="a number above 0, up to 1",
    )
    ID_LEASE_SECONDS = Setting[float](
        60.0,
        "Seconds for which a process leases its share of snowflake ids; 0 is never, and ids may then collide.",
        kind=SECONDS,
        valid=_not_negative,
        expected="a number from 0 on",
    )
    SHARD_THREADS = Setting[int](
        4,
        "Threads of a process for each shard, by which it asks several shards at once; each holds a connection.",
        kind=int,
        valid=_positive,
        expected="a positive whole number",
    )

    REFERENCE_FANOUT = Setting[str](
        "auto",
        "Who carries rows of reference tables to shards: `replication`, `outbox`, or the former where all is PostgreSQL.",
        kind=str,
        valid=_is_fanout,
        expected='"auto", "replication" or "outbox"',
    )
    REFERENCE_SOURCE = Setting[dict[str, Any]](
        dict,
        "What libpq parameters the servers of shards need to reach `default`, where they differ from ours.",
        kind=dict,
    )
    TWO_PHASE = Setting[list[str]](
        list,
        "The shard groups in which two_phase() may be used; `recover_transactions` then has to run regularly.",
        kind=(list, tuple),
        valid=_are_names,
        expected="a list of shard groups",
    )
    TWO_PHASE_GRACE = Setting[float](
        60.0,
        "Seconds after which `recover_transactions` rolls back what was prepared and never decided.",
        kind=SECONDS,
        valid=_not_negative,
        expected="a number from 0 on",
    )
    SCATTER_MAX_ROWS = Setting[int](
        300_000,
        "Rows of all shards that scatter() holds at once, before it refuses; iterator() has no limit. 0 is none.",
        kind=int,
        valid=_not_negative,
        expected="a whole number from 0 on",
    )
    SCATTER_SECONDS = Setting[float](
        60.0,
        "Seconds after which a shard that does not answer fails a scatter(); 0 waits for ever.",
        kind=SECONDS,
        valid=_not_negative,
        expected="a number from 0 on",
    )


settings = DbSettings()

balancers = Backends[Balancer]("SCALEKIT_DB_BALANCER", Balancer, lambda: settings.BALANCER)  # type: ignore[type-abstract]  # the base of what is loaded
pinnings = Backends[Pinning]("SCALEKIT_DB_PINNING", Pinning, lambda: settings.PINNING)  # type: ignore[type-abstract]  # the base of what is loaded
discoveries = Backends[Discovery]("SCALEKIT_DB_DISCOVERY", Discovery, lambda: settings.DISCOVERY)  # type: ignore[type-abstract]  # the base of what is loaded
resolvers = Backends[ShardResolver](
    "SCALEKIT_DB_SHARD_SELECTOR",
    ShardResolver,  # type: ignore[type-abstract]  # the base of what is loaded
    lambda: settings.SHARD_SELECTOR if isinstance(settings.SHARD_SELECTOR, dict) else {},
)


class Schemes(Backends[ShardingScheme]):
    """The scheme of each shard group, which asks the stored map where a slot lies."""

    def stored_maps(self) -> list[StoredMap]:
        """Return the stored maps that this process may have read."""
        stored = [scheme.stored for scheme in list(self._made.values())]
        return [found for found in stored if isinstance(found, StoredMap)]

    def _make(self, alias: str) -> ShardingScheme:
        scheme = super()._make(alias)
        if not scheme.spreads_itself:
            scheme.stored = StoredMap(scheme, lambda: settings.SHARD_MAP_SECONDS)
            scheme.stored_keys = StoredKeys(scheme)
        return scheme


schemes = Schemes(
    "SCALEKIT_DB_SHARDING",
    ShardingScheme,  # type: ignore[type-abstract]  # the base of what is loaded
    lambda: settings.SHARDING,
)


def balancer_of(primary: str) -> Balancer:
    """Return the balancer of a primary's replicas."""
    return balancers[primary if primary in balancers else "default"]
