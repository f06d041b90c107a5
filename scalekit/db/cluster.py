"""The cluster of this process's settings, read once."""

from __future__ import annotations

from typing import Any

from django.core.signals import setting_changed
from django.db import connections

from scalekit.core.exceptions import SettingInvalid
from scalekit.db.conf import schemes, settings
from scalekit.db.topology import Cluster, read_cluster

_cluster: Cluster | None = None


def current_cluster() -> Cluster:
    """Return the cluster that DATABASES describes. Raises `SettingInvalid` for a faulty one."""
    return _cluster or _read()


def read_settings() -> Cluster:
    """Read the cluster anew, faults included; shard groups that cannot be loaded are left out."""
    groups = {}
    for group in settings.SHARDING:
        try:
            groups[group] = schemes[group].shards
        except SettingInvalid:
            continue
    return read_cluster(connections.settings, groups)


def forget_cluster(*, setting: str = "DATABASES", **_: Any) -> None:
    """Read DATABASES again at the next query; for tests that add aliases."""
    global _cluster  # noqa: PLW0603 - the one cache of this module
    if setting in {"DATABASES", "SCALEKIT_DB_SHARDING"}:
        _cluster = None


def _read() -> Cluster:
    global _cluster  # noqa: PLW0603 - the one cache of this module
    for group in settings.SHARDING:
        schemes[group]  # a scheme that cannot be loaded must not pass for an unsharded group
    cluster = read_settings()
    if cluster.faults:
        fault = cluster.faults[0]
        raise SettingInvalid(f"{fault.text} {fault.hint}")
    _cluster = cluster
    return cluster


setting_changed.connect(forget_cluster, dispatch_uid="scalekit.db.cluster")
