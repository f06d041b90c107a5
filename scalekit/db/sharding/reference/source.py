"""How the servers of shards, and this process, connect to `default` for its log."""

from __future__ import annotations

import re
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections

from scalekit.db.conf import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

PUBLICATION = SUBSCRIPTION = "scalekit_reference"
LONGEST_NAME = 63  # NAMEDATALEN of PostgreSQL, less the final zero
FAILOVER_SLOTS = 170000  # PostgreSQL 17 brings slots to standbys (sync_replication_slots)
LOCK_TIMEOUT = "60s"  # a new slot waits for the end of every transaction that writes just now


def slot_of(alias: str, database: int) -> str:
    """Return the name of a shard's slot, unique in the server of `default`: it has allowed characters alone."""
    slug = re.sub(r"[^a-z0-9_]", "_", alias.lower())
    name = f"scalekit_{database}_{slug}"
    if slug != alias or len(name) > LONGEST_NAME:
        digest = blake2b(alias.encode(), digest_size=4).hexdigest()
        name = f"{name[: LONGEST_NAME - 9]}_{digest}"
    return name


def conninfo(*, for_servers: bool) -> str:
    """Return libpq's string for `default`; for servers with what SCALEKIT_DB_REFERENCE_SOURCE changes in it."""
    from psycopg.conninfo import make_conninfo
    from psycopg.pq import Conninfo

    known = connections[DEFAULT_DB_ALIAS].settings_dict
    options = {option.keyword.decode() for option in Conninfo.get_defaults()}
    parts = {k: v for k, v in known["OPTIONS"].items() if k in options and k != "options"}
    parts |= {"host": known["HOST"], "port": known["PORT"], "dbname": known["NAME"]}
    parts |= {"user": known["USER"], "password": known["PASSWORD"]}
    if "," in str(known["HOST"]):
        parts.setdefault("target_session_attrs", "read-write")
    if for_servers:
        parts |= settings.REFERENCE_SOURCE
    return make_conninfo("", **{name: str(value) for name, value in parts.items() if value})


@contextmanager
def new_slot(name: str, *, failover: bool) -> Iterator[str]:
    """Make a logical slot, and give the name of a snapshot that shows exactly what comes before it.

    Only the replication protocol gives both (PostgreSQL manual, Streaming Replication Protocol,
    CREATE_REPLICATION_SLOT). The snapshot lives as long as the block.
    """
    import psycopg

    with psycopg.connect(
        conninfo(for_servers=False),
        autocommit=True,
        replication="database",
        options=f"-c lock_timeout={LOCK_TIMEOUT}",
    ) as connection:
        options = "SNAPSHOT 'export'" + (", FAILOVER" if failover else "")
        statement = f'CREATE_REPLICATION_SLOT "{name}" LOGICAL pgoutput ({options})'
        result = connection.pgconn.exec_(statement.encode())
        if result.status != psycopg.pq.ExecStatus.TUPLES_OK:
            raise OperationalError(f"No slot on default: {_message(result)}")
        snapshot = result.get_value(0, 2)
        yield (snapshot or b"").decode()


def _message(result: Any) -> str:
    return str(result.error_message.decode(errors="replace")).strip()
