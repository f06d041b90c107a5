"""What an entry's `stamps` field says: whether it is an error, the stamps it was loaded under, and facts.

The facts are those of the invalidation that emptied its key. They are kept for the refreshes of the entry,
which read from the same replicas a moment later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalekit.cache.stampede import states

if TYPE_CHECKING:
    from scalekit.cache.values import Entry

_VALUE, _ERROR = b"\0", b"\1"
NONE = _VALUE  # of an entry that depends on nothing


def note(stamps: bytes, facts: states.Facts, *, is_error: bool = False) -> bytes:
    """Return what to store with a value."""
    texts = [states.written(found) for found in facts]
    return (_ERROR if is_error else _VALUE) + stamps + states.written_list(texts)


def is_error(entry: Entry) -> bool:
    """Return whether the value is the error that a load raised."""
    return entry.stamps[:1] == _ERROR


def depends_on(entry: Entry, stamps: bytes) -> bool:
    """Return whether the entry was loaded under these stamps."""
    return entry.stamps[1 : 1 + len(stamps)] == stamps


def facts_of(entry: Entry, stamps: bytes) -> states.Facts:
    """Return the facts that its refresh must see, too."""
    return states.parse_facts(entry.stamps[1 + len(stamps) :])
