"""System checks: what in the settings would send a query to the wrong server.

E001-E005 are faults of DATABASES, found while it is read (`topology`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.checks import (
    CheckMessage,
    Error,
    Tags,
    Warning,  # noqa: A004 - Django's name
    register,
)
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils.module_loading import import_string

from scalekit.core.exceptions import SettingInvalid
from scalekit.db.cluster import read_settings
from scalekit.db.conf import balancers, discoveries, pinnings, resolvers, schemes, settings
from scalekit.db.router import Router

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scalekit.db.topology import Cluster

READ_YOUR_WRITES = "scalekit.db.middleware.ReadYourWrites"
DETECTED_WITHIN = 2.0  # seconds in which the monitor puts a replica out
POOL_SIZE = 4  # psycopg_pool's own
LIMIT_SHARE = 0.9  # of max_connections; some are kept for superusers


@register()
def check_databases(**_: Any) -> list[CheckMessage]:
    """Find faults of replicas, shards, the router and the middleware."""
    try:
        settings.SHARDING  # noqa: B018 - a value of the wrong type is scalekit.core.E002
    except SettingInvalid:
        return []
    cluster = read_settings()
    parts: list[Callable[[Cluster], Iterator[CheckMessage]]] = [
        _faulty_replicas,
        _faulty_plugs,
        _missing_shards,
        _router,
        _middleware,
        _mirrors,
        _transactions,
        _lifetimes,
        _selector,
        _shards_transactions,
    ]
    return [message for part in parts for message in part(cluster)]


def _faulty_replicas(cluster: Cluster) -> Iterator[CheckMessage]:
    for fault in cluster.faults:
        yield Error(fault.text, hint=fault.hint, id=f"scalekit.db.E{fault.number:03}")


def _faulty_plugs(_: Cluster) -> Iterator[CheckMessage]:
    for plugs in (balancers, pinnings, discoveries, schemes, resolvers):
        try:
            for alias in plugs:
                plugs[alias]
        except SettingInvalid as error:
            yield Error(str(error), id="scalekit.db.E006")


def _missing_shards(cluster: Cluster) -> Iterator[CheckMessage]:
    for group in settings.SHARDING:
        try:
            shards = schemes[group].shards
        except SettingInvalid:
            continue
        for alias in shards:
            if alias not in cluster.primaries:
                kind = "a replica" if cluster.is_replica(alias) else "no alias of DATABASES"
                yield Error(
                    f"SCALEKIT_DB_SHARDING[{group!r}] has the shard {alias!r}, which is {kind}.",
                    hint=f"Primaries are: {', '.join(cluster.primaries)}.",
                    id="scalekit.db.E007",
                )


def _router(cluster: Cluster) -> Iterator[CheckMessage]:
    if cluster.active and not any(_is_router(entry) for entry in django_settings.DATABASE_ROUTERS):
        yield Error(
            "DATABASES has replicas or shards, but no router sends queries there.",
            hint='Add DATABASE_ROUTERS = ["scalekit.db.router.Router"].',
            id="scalekit.db.E008",
        )


def _is_router(entry: Any) -> bool:
    if isinstance(entry, Router):
        return True
    if not isinstance(entry, str):
        return False
    try:
        router = import_string(entry)
    except ImportError:
        return False
    return isinstance(router, type) and issubclass(router, Router)


def _middleware(cluster: Cluster) -> Iterator[CheckMessage]:
    if not cluster.has_replicas:
        return
    stack = list(django_settings.MIDDLEWARE)
    if READ_YOUR_WRITES not in stack:
        yield Error(
            "DATABASES has replicas, but visitors would not see what they have just written.",
            hint=f"Add {READ_YOUR_WRITES!r} to MIDDLEWARE, before SessionMiddleware.",
            id="scalekit.db.E009",
        )
    elif any(_is_sessions(path) for path in stack[: stack.index(READ_YOUR_WRITES)]):
        yield Error(
            "ReadYourWrites stands after SessionMiddleware, whose save is a write it does not see.",
            hint=f"Move {READ_YOUR_WRITES!r} before SessionMiddleware in MIDDLEWARE.",
            id="scalekit.db.E010",
        )


def _is_sessions(path: str) -> bool:
    """Return whether a middleware is Django's SessionMiddleware or built on it."""
    try:
        middleware = import_string(path)
    except ImportError:  # Django says so when it starts
        return False
    return isinstance(middleware, type) and issubclass(middleware, SessionMiddleware)


def _mirrors(cluster: Cluster) -> Iterator[CheckMessage]:
    for primary in cluster.primaries.values():
        for replica in primary.replicas:
            if replica.mirror is None:
                yield Warning(
                    f"Tests would read from the real replica {replica.alias}.",
                    hint=f'Add "TEST": {{"MIRROR": "{primary.alias}"}} to DATABASES["{replica.alias}"].',
                    id="scalekit.db.W001",
                )
            elif replica.mirror not in connections.settings:
                yield Error(
                    f'DATABASES["{replica.alias}"]["TEST"]["MIRROR"] is no alias of DATABASES.',
                    hint=f'Write {{"MIRROR": "{primary.alias}"}}.',
                    id="scalekit.db.E011",
                )


def _transactions(cluster: Cluster) -> Iterator[CheckMessage]:
    for alias, config in connections.settings.items():
        if cluster.is_replica(alias) and config["ATOMIC_REQUESTS"]:
            yield Warning(
                f"Every request opens a transaction on the replica {alias}, needed or not, and its "
                "reads do not survive the replica.",
                hint=f'Remove ATOMIC_REQUESTS from DATABASES["{alias}"].',
                id="scalekit.db.W002",
            )
        elif (
            config["ATOMIC_REQUESTS"]
            and alias in cluster.primaries
            and cluster.primaries[alias].replicas
        ):
            yield Warning(
                f"Every request opens a transaction on {alias}, so all its reads stay there and its "
                "replicas are idle.",
                hint=f'Remove ATOMIC_REQUESTS from DATABASES["{alias}"]; put atomic() around what writes.',
                id="scalekit.db.W006",
            )


def _lifetimes(cluster: Cluster) -> Iterator[CheckMessage]:
    try:
        needed, life = settings.MAX_LAG + DETECTED_WITHIN, settings.PIN_SECONDS
    except SettingInvalid:
        return
    if cluster.has_replicas and life <= needed:
        yield Warning(
            f"SCALEKIT_DB_PIN_SECONDS = {life:g}: a replica that lags by SCALEKIT_DB_MAX_LAG may still be "
            "read from when what a visitor wrote has been forgotten.",
            hint=f"Write a number above {needed:g}.",
            id="scalekit.db.W003",
        )


def _selector(_: Cluster) -> Iterator[CheckMessage]:
    path = settings.SHARD_SELECTOR
    if isinstance(path, dict):
        yield from _selected_groups(path)
        return
    try:
        usable = not path or callable(import_string(path))
    except ImportError:
        usable = False
    if not usable:
        yield Error(
            f"SCALEKIT_DB_SHARD_SELECTOR = {path!r} leads to no function.",
            hint='Write a dotted path, as in "site.shards.of_request".',
            id="scalekit.db.E018",
        )


def _selected_groups(selected: Iterable[str]) -> Iterator[CheckMessage]:
    for group in selected:
        if settings.SHARDING and group not in settings.SHARDING:
            yield Error(
                f"SCALEKIT_DB_SHARD_SELECTOR has the group {group!r}, which SCALEKIT_DB_SHARDING has not.",
                hint=f"Groups are: {', '.join(settings.SHARDING)}.",
                id="scalekit.db.E021",
            )


@register(Tags.database)
def check_slot_maps(*, databases: Iterable[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Find stored slot maps that the settings do not fit; run by ``check --database default``."""
    from scalekit.db.sharding.mapping.checks import faults_of_map

    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    return [fault for group in settings.SHARDING for fault in faults_of_map(group)]


@register(Tags.database)
def check_servers(*, databases: Iterable[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Find what servers do not allow; run by ``check --database default --database replica_1 ...``."""
    owner = read_settings().owner
    asked = [a for a in databases or () if a in owner and connections[a].vendor == "postgresql"]
    parts: list[Callable[[Cluster, str], Iterator[CheckMessage]]] = [
        _grants,
        _connection_limit,
        _two_phase,
    ]
    cluster = read_settings()
    return [message for alias in asked for part in parts for message in part(cluster, alias)]


def _grants(cluster: Cluster, alias: str) -> Iterator[CheckMessage]:
    if cluster.is_replica(alias) and not _value(alias, "pg_has_role('pg_read_all_stats', 'USAGE')"):
        user = connections[alias].settings_dict["USER"]
        yield Warning(
            f"On {alias} the monitor does not see from which timeline the server receives: after a write "
            "reads come back to it a second or two later, and after a failover some minutes later.",
            hint=f"GRANT pg_monitor TO {user or 'the role'};",
            id="scalekit.db.W004",
        )


def _connection_limit(cluster: Cluster, alias: str) -> Iterator[CheckMessage]:
    """Compare with the pools of all aliases on one server, times WEB_CONCURRENCY, and the monitors."""
    pool = connections[alias].settings_dict["OPTIONS"].get("pool")
    if not pool:
        return
    sizes = pool if isinstance(pool, dict) else {}
    size = sizes.get("max_size") or sizes.get("min_size") or POOL_SIZE
    processes = int(os.environ.get("WEB_CONCURRENCY") or 1)
    needed = processes * (size + bool(cluster.has_replicas))
    limit = int(_value(alias, "current_setting('max_connections')"))
    if needed > LIMIT_SHARE * limit:
        yield Warning(
            f"{processes} processes with a pool of {size} may open {needed} connections to {alias}, whose "
            f"max_connections is {limit}.",
            hint='Lower OPTIONS["pool"]["max_size"] or WEB_CONCURRENCY, or raise max_connections.',
            id="scalekit.db.W005",
        )


def _shards_transactions(cluster: Cluster) -> Iterator[CheckMessage]:
    from scalekit.db.sharding.transactions.checks import faults_of_transactions

    yield from faults_of_transactions(cluster)


def _two_phase(cluster: Cluster, alias: str) -> Iterator[CheckMessage]:
    from scalekit.db.sharding.transactions.checks import faults_of_shard

    yield from faults_of_shard(cluster, alias)


def _value(alias: str, expression: str) -> Any:
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT {expression}")
        return cursor.fetchone()[0]


@register()
def check_sharded_models(**_: Any) -> list[CheckMessage]:
    """Find sharded models that could not be placed."""
    from scalekit.db.sharding.checks import faults_of_model
    from scalekit.db.sharding.citus.checks import faults_of_citus

    found = [fault for model in apps.get_models() for fault in faults_of_model(model)]
    return [*found, *faults_of_citus()]


@register(Tags.database)
def check_reference_tables(
    *, databases: Iterable[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Find reference tables that nobody carries to the shards; run by ``check --database default``."""
    from scalekit.db.sharding.reference.checks import faults_of_publication

    return list(faults_of_publication()) if DEFAULT_DB_ALIAS in (databases or ()) else []


@register()
def check_reference_models(**_: Any) -> list[CheckMessage]:
    """Find reference models that could not be copied."""
    from scalekit.db.sharding.reference.checks import faults_of_fanout, faults_of_reference_model

    found = [fault for model in apps.get_models() for fault in faults_of_reference_model(model)]
    return [*found, *faults_of_fanout()]
