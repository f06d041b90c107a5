"""Connect to whichever of the hosts is the primary now."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.db.backends.postgresql.base import DatabaseWrapper

from scalekit.db.backends.postgresql.sockets import lines
from scalekit.db.backends.postgresql.timelines import identify, timelines
from scalekit.db.conf import discoveries
from scalekit.db.exceptions import StalePrimary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scalekit.db.discovery.base import Address

_last: dict[str, Address] = {}  # by alias, the server that was right the last time
_doubted: dict[str, Address] = {}  # and the one that has stopped to answer since
_surveyed: set[str] = set()  # aliases all of whose hosts this process has met


def connect(alias: str, params: dict[str, Any], open_: Callable[..., Any]) -> Any:
    """Return ``open_(**params)``, led to the primary: the one that takes writes on the newest timeline.

    The server of the last time is asked first, so that a host which hangs costs its time limit once and
    not at every connection. Raises `StalePrimary` if an abandoned one is all there is.
    """
    candidates = ordered(alias, addresses(params))
    if len(candidates) > 1 and alias not in _surveyed:
        _survey(alias, params, candidates, open_)
    while True:
        connection = open_(**_towards(params, candidates))
        try:
            _check(alias, connection)
        except StalePrimary:
            others = [c for c in candidates if c != _address(connection)]
            connection.close()
            if others in ([], candidates):
                raise
            candidates = others
        except BaseException:
            connection.close()
            raise
        else:
            return connection


def _survey(
    alias: str, params: dict[str, Any], candidates: Sequence[Address], open_: Callable[..., Any]
) -> None:
    """Ask every host for its timeline, once a process: of two that take writes, one was left behind.

    A process that has just started cannot know that from what it has seen before.
    """
    for candidate in candidates:
        with suppress(DatabaseWrapper.Database.Error):  # a standby, as a rule, or one that is down
            connection = open_(**_towards(params, [candidate]))
            lines.add(alias, connection)  # it may hang in what follows
            connection.autocommit = True
            identity = identify(connection)
            timelines.saw(identity.system, identity.timeline)
            connection.close()
            _surveyed.add(alias)


def _check(alias: str, connection: Any) -> None:
    lines.add(alias, connection)  # it may hang in what follows
    connection.autocommit = True  # else asking would begin a transaction
    identity = identify(connection)
    timelines.require_newest(alias, connection, identity)
    lines.add(alias, connection, identity.system, identity.timeline)
    _last[alias] = _address(connection)
    _doubted.pop(alias, None)


def doubt(alias: str) -> None:
    """Ask the server of the last time after all others, from now on: it may hang, and cost a time limit."""
    if alias in _last:
        _doubted[alias] = _last.pop(alias)


def addresses(params: dict[str, Any]) -> list[Address]:
    """Return the (host, port) pairs of libpq's lists; one port serves all hosts, none is the usual one."""
    if not params.get("host"):
        return []  # a service file or libpq's defaults: its own business
    hosts = str(params["host"]).split(",")
    ports = str(params.get("port") or os.environ.get("PGPORT", "5432")).split(",")
    return list(zip(hosts, ports * len(hosts) if len(ports) == 1 else ports, strict=False))


def ordered(alias: str, candidates: Sequence[Address]) -> list[Address]:
    """Return whom to ask: him whom discovery names, else the hosts that are named, the last one first."""
    found = discoveries[alias].primary() if alias in discoveries else None
    if found is not None:
        return [found]
    last, doubted = _last.get(alias), _doubted.get(alias)
    return sorted(candidates, key=lambda address: (address == doubted, address != last))


def _towards(params: dict[str, Any], candidates: Sequence[Address]) -> dict[str, Any]:
    if not candidates:
        return params
    hosts, ports = zip(*candidates, strict=True)
    return {**params, "host": ",".join(hosts), "port": ",".join(ports)}


def _address(connection: Any) -> Address:
    return connection.info.host, str(connection.info.port)
