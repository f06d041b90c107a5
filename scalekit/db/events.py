"""What happens between a query and its database, for whoever counts or logs it."""

from __future__ import annotations

import logging

from scalekit.core.events import Event

READ_ROUTED = Event("db_read_routed", "A read was given a server.", labels=("alias", "reason"))
REPLICA_DOWN = Event(
    "db_replica_down",
    "A replica failed and left the rotation.",
    labels=("alias",),
    level=logging.WARNING,
)
REPLICA_UP = Event(
    "db_replica_up",
    "A replica answered again and is back in rotation.",
    labels=("alias",),
    level=logging.INFO,
)
READ_RETRIED = Event(
    "db_read_retried",
    "A read failed on its server and was run again on another.",
    labels=("alias", "next"),
    level=logging.INFO,
)
VISITOR_PINNED = Event(
    "db_visitor_pinned",
    "A visitor wrote, so their next reads go to the primary.",
    labels=("alias",),
)
PIN_REFUSED = Event(
    "db_pin_refused",
    "A consistency token of a cookie or header was forged, damaged or absurd.",
    labels=("source", "reason"),
    level=logging.WARNING,
)
SCATTERED = Event(
    "db_scattered", "A query was sent to several shards.", labels=("group",), level=None
)
