"""settings.DATABASES -> frozen values: which alias is a primary, and which replicas follow it.

    "replica_1": {..., "SCALEKIT": {"REPLICA_OF": "default", "WEIGHT": 2, "ZONE": "eu-1"}}

What is wrong becomes a `Fault`, which is a system check before it is an exception.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import Any

Databases = Mapping[str, Mapping[str, Any]]

OPTIONS = ("REPLICA_OF", "WEIGHT", "ZONE")
MAX_WEIGHT = 1000


@dataclass(frozen=True, slots=True)
class Replica:
    """A server that follows `primary`; `mirror` is the alias that stands for it in tests."""

    alias: str
    primary: str
    weight: int = 1
    zone: str = ""
    mirror: str | None = None


@dataclass(frozen=True)
class Primary:
    """A server that takes writes, and the replicas that follow it."""

    alias: str
    replicas: tuple[Replica, ...] = ()

    @cached_property
    def mirrored(self) -> bool:
        """Whether another alias stands for a replica in tests."""
        return any(replica.mirror for replica in self.replicas)


@dataclass(frozen=True, slots=True)
class Shard:
    """A primary that holds a part of the rows of a shard group."""

    group: str
    primary: Primary


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one alias of DATABASES: a number for its check id, and what to type."""

    number: int
    text: str
    hint: str


@dataclass(frozen=True)
class Cluster:
    """All primaries with their replicas, and the shards among them."""

    primaries: Mapping[str, Primary] = field(default_factory=dict)
    shards: tuple[Shard, ...] = ()
    faults: tuple[Fault, ...] = ()

    @cached_property
    def active(self) -> bool:
        """Whether there is anything to route: a replica or a shard."""
        return bool(self.shards) or self.has_replicas

    @cached_property
    def has_replicas(self) -> bool:
        return any(primary.replicas for primary in self.primaries.values())

    @cached_property
    def owner(self) -> dict[str, str]:
        """Return the alias of the primary behind every alias."""
        servers = [(r.alias, p.alias) for p in self.primaries.values() for r in p.replicas]
        return dict(servers) | {alias: alias for alias in self.primaries}

    @cached_property
    def shard_aliases(self) -> frozenset[str]:
        return frozenset(shard.primary.alias for shard in self.shards)

    def is_replica(self, alias: str) -> bool:
        return self.owner.get(alias, alias) != alias


def read_cluster(databases: Databases, groups: Mapping[str, tuple[str, ...]]) -> Cluster:
    """Read DATABASES and the aliases of each shard group; what is wrong is among `faults`."""
    replicas: dict[str, Replica] = {}
    faults: list[Fault] = []
    for alias, config in databases.items():
        options = config.get("SCALEKIT")
        if options is None:
            continue
        found = list(_faults(alias, options, databases))
        faults += found
        if not found and "REPLICA_OF" in options:
            replicas[alias] = _replica(alias, config)
    primaries = {
        alias: Primary(alias, tuple(r for r in replicas.values() if r.primary == alias))
        for alias in databases
        if not _is_replica(databases[alias])
    }
    shards = tuple(
        Shard(group, primaries[alias])
        for group, aliases in groups.items()
        for alias in aliases
        if alias in primaries
    )
    return Cluster(primaries, shards, tuple(faults))


def _replica(alias: str, config: Mapping[str, Any]) -> Replica:
    options = config["SCALEKIT"]
    return Replica(
        alias,
        options["REPLICA_OF"],
        options.get("WEIGHT", 1),
        options.get("ZONE", ""),
        (config.get("TEST") or {}).get("MIRROR"),
    )


def _is_replica(config: Mapping[str, Any]) -> bool:
    options = config.get("SCALEKIT")
    return isinstance(options, Mapping) and "REPLICA_OF" in options


def _faults(alias: str, options: Any, databases: Databases) -> list[Fault]:
    where = f'DATABASES["{alias}"]["SCALEKIT"]'
    if not isinstance(options, Mapping):
        return [Fault(1, f"{where} is {options!r}.", 'Write a dict: {"REPLICA_OF": "default"}.')]
    faults = [_unknown_option(where, name) for name in options if name not in OPTIONS]
    if "REPLICA_OF" in options:
        faults += _bad_primary(alias, where, options["REPLICA_OF"], databases)
    if not _is_weight(options.get("WEIGHT", 1)):
        text = f'{where}["WEIGHT"] is {options["WEIGHT"]!r}.'
        faults.append(Fault(4, text, f"Write a whole number from 1 to {MAX_WEIGHT}."))
    if not isinstance(options.get("ZONE", ""), str):
        text = f'{where}["ZONE"] is {options["ZONE"]!r}.'
        faults.append(Fault(5, text, 'Write a name, as in "eu-1".'))
    return faults


def _unknown_option(where: str, name: Any) -> Fault:
    close = get_close_matches(str(name), OPTIONS, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"Known are {', '.join(OPTIONS)}."
    return Fault(1, f"{where} has no option {name!r}.", hint)


def _bad_primary(alias: str, where: str, name: Any, databases: Databases) -> list[Fault]:
    text = f'{where}["REPLICA_OF"] is {name!r}'
    candidates = [a for a in databases if a != alias and not _is_replica(databases[a])]
    hint = f"Name the alias of its primary: {', '.join(candidates) or 'there is none yet'}."
    if name == alias:
        return [Fault(3, f"{text}, which is the replica itself.", hint)]
    if not isinstance(name, str) or name not in databases:
        return [Fault(2, f"{text}, which is no alias of DATABASES.", hint)]
    if name not in candidates:
        return [Fault(3, f"{text}, which is a replica itself.", hint)]
    return []


def _is_weight(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_WEIGHT
