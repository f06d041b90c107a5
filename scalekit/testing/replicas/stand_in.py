"""A replica's alias on the connection of its primary: it sees what the test has not committed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from scalekit.db.backends.postgresql.guard import refuse_on_replica
from scalekit.db.exceptions import WriteOnReplica
from scalekit.db.writes import is_write

if TYPE_CHECKING:
    from collections.abc import Callable

# What belongs to the one connection that both aliases use, and to its transaction.
_SHARED = (
    *("connection", "autocommit", "in_atomic_block", "savepoint_state", "savepoint_ids"),
    *("atomic_blocks", "commit_on_exit", "run_on_commit"),
    *("run_commit_hooks_on_set_autocommit_on", "close_at", "closed_in_transaction"),
    *("errors_occurred", "health_check_enabled", "health_check_done", "_named_cursor_idx"),
    *("_thread_sharing_lock", "_thread_sharing_count", "_thread_ident", "features"),
)


# Queries that a standby of PostgreSQL takes for writes: row locks, and drawing from a sequence.
_WRITING_READ = re.compile(
    r"\bFOR\s+(?:NO\s+KEY\s+)?UPDATE\b|\bFOR\s+(?:KEY\s+)?SHARE\b|\b(?:next|set)val\s*\(",
    re.IGNORECASE,
)


class _Shared:
    """An attribute that is the primary's, from the moment there is one."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, replica: Any, owner: type) -> Any:
        if replica is None:
            return self
        primary = replica.__dict__.get("primary")
        return replica.__dict__[self.name] if primary is None else getattr(primary, self.name)

    def __set__(self, replica: Any, value: Any) -> None:
        primary = replica.__dict__.get("primary")
        if primary is None:
            replica.__dict__[self.name] = value
        else:
            setattr(primary, self.name, value)


class Replica:
    """A connection on which what fails breaks its own transaction, and never that of the test."""

    alias: str
    atomic_blocks: list[Any]
    _broken = False

    @property
    def needs_rollback(self) -> bool:
        return self._broken

    @needs_rollback.setter
    def needs_rollback(self, value: bool) -> None:
        in_own_block = bool(self.atomic_blocks) and self.atomic_blocks[-1].using == self.alias
        self._broken = value and in_own_block


class StandIn(Replica):
    """The part of the stand-in that is not the primary's class. It never closes what it does not own."""

    pool = None
    primary: Any

    def __getattr__(self, name: str) -> Any:
        if name == "primary":
            raise AttributeError(name)
        return getattr(self.primary, name)  # what only connecting would have set

    def connect(self) -> None:
        self.primary.connect()

    def ensure_connection(self) -> None:
        self.primary.ensure_connection()

    def close(self) -> None: ...

    def close_if_unusable_or_obsolete(self) -> None: ...


for _name in _SHARED:
    setattr(StandIn, _name, _Shared(_name))


def stand_in(alias: str, primary: Any) -> Any:
    """Return a connection of `alias` that is in truth the one of `primary`, and refuses to write."""
    replica = read_only(alias, primary, StandIn)
    replica.primary = primary
    return replica


def read_only(alias: str, primary: Any, part: type[Replica]) -> Any:
    """Return a connection like the primary's, to the same database, that has `part` and refuses to write."""
    options = {k: v for k, v in primary.settings_dict["OPTIONS"].items() if k != "pool"}
    kept = {k: v for k, v in primary.settings_dict.items() if k != "SCALEKIT"}
    kind = type(part.__name__, (part, type(primary)), {})
    replica = kind({**kept, "OPTIONS": options, "CONN_MAX_AGE": None}, alias)
    replica.execute_wrappers.append(refuse_writes)
    return replica


def refuse_writes(
    execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    """Refuse what a real replica would: Django's `execute_wrapper`."""
    refuse_on_replica(sql, params)
    if is_write(sql) or _WRITING_READ.search(str(sql)):
        alias = context["connection"].alias
        raise WriteOnReplica(f"The replica {alias} is read-only; it was given: {sql}")
    return execute(sql, params, many, context)
