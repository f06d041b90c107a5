"""The names under which PostgreSQL keeps prepared transactions, and whose they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

IDENTITY = Path(__file__).with_name("identity.sql").read_text()


@dataclass(frozen=True, slots=True)
class Name:
    """One shard's part of a transaction: ``scalekit:<cluster>.<database>:<transaction>:<alias>:<group>``.

    Names are unique in a server, which may have several shards; so the alias is part of it. Cluster and database
    are those of `default`: another deployment's recovery leaves what is not its own.
    """

    owner: str
    transaction: UUID
    alias: str
    group: str

    def __str__(self) -> str:
        return f"{prefix(self.owner)}{self.transaction.hex}:{self.alias}:{self.group}"


def prefix(owner: str) -> str:
    return f"scalekit:{owner}:"


def parse(owner: str, gid: str) -> Name | None:
    """Return the name that a prepared transaction has, None if it is no part of ours."""
    head, rest = gid[: len(prefix(owner))], gid[len(prefix(owner)) :]
    parts = rest.split(":", 2)
    if head != prefix(owner) or len(parts) != 3:  # noqa: PLR2004 - transaction, alias, group
        return None
    try:
        return Name(owner, UUID(hex=parts[0]), parts[1], parts[2])
    except ValueError:
        return None


def owner_of(connection: Any) -> str:
    """Return what tells this `default` database from those of other deployments."""
    with connection.cursor() as cursor:
        cursor.execute(IDENTITY)
        system, database = cursor.fetchone()
    return f"{system:x}.{database}"
