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

    while not over.wait(INTERVAL):
        try:
            connection: Any = connections.create_connection(alias)
            is_back = _is_back(connection)
        except Exception:  # whatever else is wrong, the outage must be able to end
            if not over.is_set():
                logger.exception("Probing the primary %s failed", alias)
            continue
        if is_back:
            outages.up(alias)
        else:
            connection.give_up()


def _is_back(connection: Any) -> bool:
    try:
        connection.reach()
    except Error:
        return False
    return True
