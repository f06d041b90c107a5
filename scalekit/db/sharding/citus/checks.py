from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.checks import CheckMessage, Error
from django.db import connections

from scalekit.core.exceptions import SettingInvalid
from scalekit.db.conf import schemes, settings
from scalekit.db.sharding.citus.columns import faults_of_group
from scalekit.db.sharding.citus.scheme import Citus

if TYPE_CHECKING:
    from collections.abc import Iterator


def groups() -> Iterator[tuple[str, Citus]]:
    """Return the shard groups that Citus keeps; those that cannot be loaded have a check of their own."""
    for group in settings.SHARDING:
        try:
            scheme = schemes[group]
        except SettingInvalid:
            continue
        if isinstance(scheme, Citus):
            yield group, scheme


def faults_of_citus() -> Iterator[CheckMessage]:
    for group, scheme in groups():
        if scheme.coordinator not in connections:
            continue  # E007
        connection = connections[scheme.coordinator]
        if connection.vendor != "postgresql":
            yield Error(
                f"SCALEKIT_DB_SHARDING[{group!r}] is kept by Citus, but {scheme.coordinator} is {connection.vendor}.",
                hint="Let coordinator name the alias of the PostgreSQL server that has the extension.",
                id="scalekit.db.E060",
            )
            continue
        for fault in faults_of_group(group, connection):
            yield Error(fault.text, hint=fault.hint, obj=fault.model, id="scalekit.db.E061")
