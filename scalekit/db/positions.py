"""Positions in a write-ahead log: which of two servers knows more, and when that cannot be said."""

from __future__ import annotations

from typing import Any, NamedTuple

PAGE_HEADER, SEGMENT_HEADER = 24, 40  # bytes; XLogShortPHD and XLogLongPHD of xlog_internal.h
MAX_LSN = 1 << 60  # an exabyte of log
MAX_TIMELINE = 1 << 20  # promotions
MAX_SYSTEM = 1 << 64


class Position(NamedTuple):
    """A place in the log of one cluster.

    An LSN means nothing without its timeline: after a promotion the same numbers are given out again, for
    other records (https://www.postgresql.org/docs/current/continuous-archiving.html, "Timelines").
    """

    system: int
    timeline: int
    lsn: int

    def reaches(self, other: Position) -> bool:
        """Return whether a server that is here has certainly seen `other`."""
        return self[:2] == other[:2] and self.lsn >= other.lsn

    def later(self, other: Position) -> Position:
        """Return the position that stands for both; of two clusters, this one's."""
        return max(self, other) if self.system == other.system else self


def read_position(system: Any, timeline: Any, lsn: Any) -> Position:
    """Return a position that came from outside. Raises TypeError or ValueError for an absurd one."""
    for value, limit in ((system, MAX_SYSTEM), (timeline, MAX_TIMELINE), (lsn, MAX_LSN)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError("a position is no three integers")
        if not 0 < value < limit:
            raise ValueError("a position lies beyond any log")
    return Position(system, timeline, lsn)


def parse_lsn(text: str) -> int:
    """Return ``16/B374D848`` as the number that it is; doubles would lose its last bits."""
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def format_lsn(lsn: int) -> str:
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def end_of_last_record(insert_lsn: int, page: int, segment: int) -> int:
    """Return where the last record ends, given where the next one will begin.

    Where a record ends with its page, the next begins behind the header of the following page. No replica
    gets there before that record is written, which on an idle primary may take minutes.
    """
    if insert_lsn % segment == SEGMENT_HEADER:
        return insert_lsn - SEGMENT_HEADER
    if insert_lsn % page == PAGE_HEADER:
        return insert_lsn - PAGE_HEADER
    return insert_lsn


def parse_timeline(wal_file: str) -> int:
    """Return the timeline that the name of a log file begins with."""
    return int(wal_file[:8], 16)
