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


# FATAL in the language of the server; libpq puts two spaces after it and nowhere else.
_REFUSAL = re.compile(r"(?:\A|: )[^:\n]+:  (.*)")
_NOT_UP = ("the database system is", "terminating connection")
_OUR_FAULT = re.compile(
    r"could not create socket|Too many open files|out of memory|SSL error:|does not support SSL"
    r"|certificate|private key|fe_sendauth"
)
_ATTEMPT = re.compile(r"^- host: ", re.MULTILINE)  # psycopg's list of all hosts that it has tried
_TIMED_OUT = "timeout expired"
_NO_PRIMARY = re.compile(
    r"Connection refused|Connection reset|closed the connection unexpectedly"
    r"|session is read-only|in hot standby|:  (?:the database system is|terminating connection)"
)


def is_unreachable(error: BaseException) -> bool:
    """Return whether a failure to connect means that no server takes queries there.

    One that answers and turns us away (a wrong password, an unknown database, too many clients) is not
    down, nor is one that we fail to ask. libpq gives no SQLSTATE for it, only the words.
    """
    words = str(error)
    if _OUR_FAULT.search(words):
        return False
    return all(refusal.startswith(_NOT_UP) for refusal in _REFUSAL.findall(words))


def is_silence(error: BaseException) -> bool:
    """Return whether a failure to connect was a server that said nothing at all until the time was up.

    Only then do older connections wait in vain. Any other answer, and any failure of our own, may go
    together with connections that are well. Of several hosts, none may have said more than that it is
    no primary.
    """
    words = str(error)
    attempts = _ATTEMPT.split(words)[1:] or [words]
    silent = [attempt for attempt in attempts if _TIMED_OUT in attempt]
    return bool(silent) and all(_TIMED_OUT in a or _NO_PRIMARY.search(a) for a in attempts)


def was_demoted(error: BaseException, connection: Any) -> bool:
    """Return whether a write failed since its server is no primary, and not by the wish of the client."""
    if sqlstate(error) != READ_ONLY or connection is None or connection.closed:
        return False
    told = connection.info.parameter_status("in_hot_standby")
    return told in {"on", None}  # None: before PostgreSQL 14, or hidden by a pooler
