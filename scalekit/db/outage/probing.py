"""A thread that asks for a primary which is down, so that no request has to."""

from __future__ import annotations

import logging
import threading
from typing import Any

from django.db import Error, connections

INTERVAL = 0.5  # seconds between two attempts

logger = logging.getLogger("scalekit.db")


def probe_until_up(alias: str, over: threading.Event) -> None:
    """Begin to ask for primary `alias` until it answers, or until `over` is set."""
    name = f"scalekit-probe-{alias}"
    threading.Thread(target=_probe, args=(alias, over), name=name, daemon=True).start()


def _probe(alias: str, over: threading.Event) -> None:
    from scalekit.db.outage.state import outages

    while not over.wait(INTERVAL) and outages.is_current(alias, over):
        try:
            connection: Any = connections.create_connection(alias)
            if _is_back(connection):
                outages.up(alias)
        except Exception:  # whatever else is wrong, the outage must be able to end
            if not over.is_set():
                logger.exception("Probing the primary %s failed", alias)


def _is_back(connection: Any) -> bool:
    try:
        connection.reach()
    except Error as error:
        connection.give_up(error)
        return False
    return True
