"""Free the threads that wait for a server which hangs: frozen, or cut off without a word.

The kernel of a frozen server still acknowledges, so no TCP setting ends such a wait; and a time limit on
queries would kill slow reports. Instead, whenever a replica leaves the rotation it is asked for a
connection: one that does not say a word hangs, and what waits for it is woken, to go on elsewhere.
A primary that is silent is looked for among its hosts; only when it is found nowhere is it given up.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from django.db import Error, connections

from scalekit.db.backends.postgresql import following
from scalekit.db.backends.postgresql.failures import is_silence, is_unreachable
from scalekit.db.backends.postgresql.sockets import limited, lines
from scalekit.db.events import PRIMARY_SILENT, READS_FREED, REPLICA_DOWN
from scalekit.db.outage.state import outages

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 2  # seconds; libpq knows no less


def free_if_hung(alias: str) -> None:
    """Cut the connections of `alias` if its server is silent. Takes twice `PATIENCE` seconds at most.

    One that turns us away (too many clients, say) is at work for those whom it has let in.
    """
    connection: Any = connections.create_connection(alias)
    options = {k: v for k, v in connection.settings_dict["OPTIONS"].items() if k != "pool"}
    options["connect_timeout"] = PATIENCE
    connection.settings_dict = {**connection.settings_dict, "OPTIONS": options}
    connection.moves_reads = False
    try:
        with limited(PATIENCE):
            connection.connect()
    except (Error, connection.Database.Error) as error:
        if not is_silence(error):
            return
        cut = lines.cut(alias)
        READS_FREED.emit(alias=alias, connections=cut, error=str(error).strip())
    finally:
        connection.close()


def find_primary(alias: str) -> None:
    """Look for the primary, which was silent for a moment: here, promoted elsewhere, or down."""
    if outages.is_down(alias):
        return  # it is looked for already
    connection: Any = connections.create_connection(alias)
    following.doubt(alias)
    try:
        connection.reach()
    except Error as error:
        if is_unreachable(error):
            outages.down(alias, error)


_looking: set[str] = set()  # aliases that a thread looks at just now


def _look(what: Callable[[str], None], alias: str) -> None:
    """Look at a server in a thread of its own, one at a time: who tells us must not wait."""

    def look() -> None:
        try:
            what(alias)
        finally:
            _looking.discard(alias)

    if lines.has(alias) and alias not in _looking:
        _looking.add(alias)
        try:
            threading.Thread(target=look, name=f"scalekit-look-{alias}", daemon=True).start()
        except RuntimeError:  # no threads left
            _looking.discard(alias)
            raise


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_looking.clear)
REPLICA_DOWN.subscribe(lambda _, payload: _look(free_if_hung, payload["alias"]))
PRIMARY_SILENT.subscribe(lambda _, payload: _look(find_primary, payload["alias"]))
