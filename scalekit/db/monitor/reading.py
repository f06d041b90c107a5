"""The probe's SQL, and its one row as an `Observation`; for the monitor's connections and a request's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalekit.db.monitor.sights import Observation
from scalekit.db.positions import Position, end_of_last_record, parse_lsn, parse_timeline

if TYPE_CHECKING:
    from collections.abc import Sequence

PROBE = Path(__file__).with_name("probe.sql").read_text()


def observation(row: Sequence[Any], *, at: float, took: float) -> Observation:
    """Return what a server answered. Raises TypeError for one that does not know its own position."""
    standby, lsn, paused, wal_file, received, lowest, streaming, system, page, segment = row
    if not standby:
        end = end_of_last_record(parse_lsn(lsn), page, segment)
        return Observation(at, took, False, Position(system, parse_timeline(wal_file), end))
    if lsn is None:
        raise TypeError("a standby that has replayed nothing yet")
    position = Position(system, received or lowest, parse_lsn(lsn))
    return Observation(at, took, True, position, received is not None, paused, streaming)
