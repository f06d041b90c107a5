"""System checks: what in the settings would send a query to the wrong server.

E001-E005 are faults of DATABASES, found while it is read (`topology`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's name
from django.db import connections
from django.utils.module_loading import import_string

from scalekit.core.exceptions import SettingInvalid
from scalekit.db.cluster import read_settings
from scalekit.db.conf import balancers, pinnings, schemes, settings
from scalekit.db.router import Router

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scalekit.db.topology import Cluster

READ_YOUR_WRITES = "scalekit.db.middleware.ReadYourWrites"


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
        _selector,
    ]
    return [message for part in parts for message in part(cluster)]


def _faulty_replicas(cluster: Cluster) -> Iterator[CheckMessage]:
    for fault in cluster.faults:
        yield Error(fault.text, hint=fault.hint, id=f"scalekit.db.E{fault.number:03}")


def _faulty_plugs(_: Cluster) -> Iterator[CheckMessage]:
    for plugs in (balancers, pinnings, schemes):
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


def _selector(_: Cluster) -> Iterator[CheckMessage]:
    path = settings.SHARD_SELECTOR
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


@register()
def check_sharded_models(**_: Any) -> list[CheckMessage]:
    """Find sharded models that could not be placed."""
    from scalekit.db.sharding.checks import faults_of_model

    return [fault for model in apps.get_models() for fault in faults_of_model(model)]
