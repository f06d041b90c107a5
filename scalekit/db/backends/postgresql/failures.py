"""Which errors mean that another server would have answered."""

from __future__ import annotations

import re
from typing import Any

from django.db import InterfaceError, OperationalError

SHUTTING_DOWN = frozenset(
    {"57P01", "57P02", "57P03"}
)  # admin shutdown, crash shutdown, starting up
CONNECTION_CLASS = "08"
READ_ONLY = "25006"
SERIALIZATION_FAILURE = "40001"  # on a standby: the read conflicts with what it replays


class ReplicaAvoided(OperationalError):
    """A replica that failed a moment ago is not asked again yet."""


def sqlstate(error: BaseException) -> str:
    """Return the SQLSTATE of an error that Django has wrapped; empty where the server said nothing."""
    cause: Any = error.__cause__ or error
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or ""


def is_server_lost(error: BaseException, connection: Any) -> bool:
    """Return whether the server is gone, as opposed to unhappy with the query."""
    if not isinstance(error, (OperationalError, InterfaceError)):
        return False
    state = sqlstate(error)
    if state in SHUTTING_DOWN or state.startswith(CONNECTION_CLASS):
        return True
    return bool(connection is not None and connection.closed)


def is_recovery_conflict(error: BaseException) -> bool:
    """Return whether a standby gave up a read in order to replay (Hot Standby, section 26.4.2)."""
    return isinstance(error, OperationalError) and sqlstate(error) == SERIALIZATION_FAILURE


_REFUSAL = re.compile(r"FATAL:\s+(.*)")
_NOT_UP = ("the database system is", "terminating connection")


def is_unreachable(error: BaseException) -> bool:
    """Return whether a failure to connect means that no server takes queries there.

    One that answers and turns us away (a wrong password, an unknown database, too many clients) is not
    down. libpq gives no SQLSTATE for it, only the words.
    """
    return all(words.startswith(_NOT_UP) for words in _REFUSAL.findall(str(error)))


def was_demoted(error: BaseException, connection: Any) -> bool:
    """Return whether a write failed since its server is no primary, and not by the wish of the client."""
    if sqlstate(error) != READ_ONLY or connection is None or connection.closed:
        return False
    told = connection.info.parameter_status("in_hot_standby")
    return told in {"on", None}  # None: before PostgreSQL 14, or hidden by a pooler
