"""postgresql.conf, whole: pg_rewind and a crash read the file, and know nothing of a command line."""

from __future__ import annotations

from collections.abc import Mapping

Settings = Mapping[str, str | int | float]

# Durability against a power cut of the machine is given up (fsync), everything that shows in behaviour is kept:
# with synchronous_commit off replicas would lag by wal_writer_delay, and pg_rewind needs the two settings below it.
DEFAULTS: Settings = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a long folder name would not fit into a socket's address
    "max_connections": 100,
    "shared_buffers": "16MB",
    "fsync": "off",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_log_hints": "on",
    "wal_level": "logical",
    "max_wal_senders": 20,
    "max_replication_slots": 20,
    "min_wal_size": "8MB",
    "max_wal_size": "256MB",
    "wal_keep_size": "64MB",  # for pg_rewind, which reads back to where the timelines part
    "max_slot_wal_keep_size": "512MB",  # a replica that never comes back must not fill the disk
    "hot_standby": "on",
    "wal_receiver_status_interval": "1s",
    "wal_retrieve_retry_interval": "200ms",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def defaults(major: int) -> dict[str, str | int | float]:
    """Return the settings for a major version of PostgreSQL."""
    if major < 18:  # noqa: PLR2004 - a version of PostgreSQL
        return dict(DEFAULTS)
    return {**DEFAULTS, "io_method": "sync"}  # three worker processes a server fewer


def render(settings: Settings) -> str:
    """Return the text of the file."""
    return "".join(f"{name} = {quoted(value)}\n" for name, value in settings.items())


def quoted(value: str | float) -> str:
    """Return a value as the file wants it."""
    text = str(value).replace("'", "''")
    return f"'{text}'"


def conninfo(**parts: str | int) -> str:
    """Return libpq's connection string."""
    return " ".join(f"{name}={_libpq_quoted(str(value))}" for name, value in parts.items())


def _libpq_quoted(value: str) -> str:
    if value and not set(value) & set(" '\\"):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
