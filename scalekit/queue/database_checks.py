"""What is wrong with the databases in which jobs are stored."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution
from django.db import connections

from scalekit.core.exceptions import SettingInvalid
from scalekit.queue.conf import settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Without these the kernel of a worker waits for a server that was cut off for a quarter of an hour, and where
# nothing is left to be sent, two hours: https://www.postgresql.org/docs/current/libpq-connect.html
BOUNDS = ("connect_timeout", "keepalives_idle", "tcp_user_timeout")
EXAMPLE = (
    '"OPTIONS": {"connect_timeout": 2, "keepalives_idle": 5, "keepalives_interval": 2, '
    '"keepalives_count": 3, "tcp_user_timeout": 10000}'
)


def database_flaws(*, is_used: bool) -> Iterator[CheckMessage]:
    """Find flaws of SCALEKIT_QUEUE_DATABASES and, where the queue `is_used`, of their connections."""
    try:
        listed = settings.DATABASES
    except SettingInvalid:  # the check of all settings says so
        return
    yield from _unusable(listed)
    if is_used:
        yield from _waited_for_without_end(listed)


def _unusable(listed: list[str]) -> Iterator[CheckMessage]:
    known = connections.settings
    for alias in listed:
        primary = known.get(alias, {}).get("SCALEKIT", {}).get("REPLICA_OF")
        if alias not in known:
            yield Error(
                f"SCALEKIT_QUEUE_DATABASES names {alias!r}, which DATABASES has not.",
                hint=f"Known are {', '.join(known)}.",
                id="scalekit.queue.E006",
            )
        elif primary:
            yield Error(
                f"SCALEKIT_QUEUE_DATABASES names {alias!r}, a replica, into which no job can be written.",
                hint=f"Write {primary!r}.",
                id="scalekit.queue.E006",
            )


def _waited_for_without_end(listed: list[str]) -> Iterator[CheckMessage]:
    for alias in listed:
        entry = connections.settings.get(alias)
        if entry is None or not _is_postgresql_elsewhere(entry):
            continue
        if missing := [name for name in BOUNDS if name not in entry.get("OPTIONS", {})]:
            yield Caution(
                f"DATABASES[{alias!r}], in which jobs are stored, has no {', '.join(missing)} in its OPTIONS: "
                "a worker waits for minutes, or hours, for a server that was cut off.",
                hint=f"Write for example {EXAMPLE}.",
                id="scalekit.queue.W002",
            )


def _is_postgresql_elsewhere(entry: Mapping[str, Any]) -> bool:
    """Tell whether there is a network between us and a PostgreSQL."""
    hosts = [host.strip() for host in str(entry.get("HOST", "")).split(",")]
    return entry.get("ENGINE", "").endswith(("postgresql", "postgis")) and any(
        map(_is_elsewhere, hosts)
    )


def _is_elsewhere(host: str) -> bool:
    if (
        not host or host[0] in "/@" or host == "localhost"
    ):  # a socket, an abstract one, or this machine
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:  # a name
        return True
