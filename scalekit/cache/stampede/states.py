"""What a server keeps under a name, by its first four bytes. Free of Django and of any client.

    V…  a value, see `scalekit.cache.values`
    L…  token 8, digest of the stamps 8, facts:  somebody loads, and alone may store
    S…  random 8, facts:                          a tag's stamp; under an entry's key: it was invalidated
    H…  size 8 hex, holders, facts, what was there: transactions are about to change it
    F…  token 8, the error as a value:            the load of this lease failed, for those who waited

The scripts read and write the same, so that an entry and what guards it are one key: a Redis Cluster
knows no atomicity between two.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAGIC = b"sk\x01"
LEASE, STAMP, HOLD, FAILURE = (kind + MAGIC for kind in (b"L", b"S", b"H", b"F"))
NO_VALUE = frozenset({LEASE, STAMP, HOLD, FAILURE})
TOKEN = slice(4, 12)  # of a lease, a stamp, a failure
DIGEST = slice(12, 20)  # of a lease
_MOST = 65_536  # bytes of facts; eight writes fit many times
SEEN = 14  # bytes of an entry that tell it from every other, its id included; of a lease, too

Facts = tuple["Mapping[str, Any]", ...]


def is_held(stored: bytes | None) -> bool:
    """Return whether a transaction is about to change what is stored."""
    return stored is not None and stored.startswith(HOLD)


def facts_in(stored: bytes | None) -> Facts:
    """Return what loads must see: the portable facts of the writes that made `stored` what it is."""
    if stored is None:
        return ()
    try:
        return _read_facts(stored)
    except (ValueError, TypeError, KeyError, RecursionError):  # nobody of ours wrote it
        return ()


def _read_facts(stored: bytes) -> Facts:
    kind = stored[:4]
    if kind == STAMP:
        return parse_facts(stored[12:])
    if kind == LEASE:
        return parse_facts(stored[20:])
    if kind == HOLD:
        size = min(int(stored[4:12], 16), _MOST)
        return _loaded(json.loads(stored[12 : 12 + size])["facts"])
    return ()


def parse_facts(text: bytes) -> Facts:
    """Return the facts that stand in a stamp or a lease. Raises ValueError or RecursionError for what is none."""
    return _loaded(json.loads(text)) if text and len(text) <= _MOST else ()


def _loaded(texts: Any) -> Facts:
    if not isinstance(texts, list):  # in Lua an empty list is an empty table, and that an object
        return ()
    found = (json.loads(text) for text in texts if isinstance(text, str))
    return tuple(facts for facts in found if isinstance(facts, dict))


def written(facts: Mapping[str, Any] | None) -> str:
    """Return `facts` as they are handed to a script; "" for none."""
    return json.dumps(facts, separators=(",", ":"), sort_keys=True) if facts else ""


def written_list(texts: Sequence[str]) -> bytes:
    """Return what `written` returned for several writes, as a stamp or a lease carries it."""
    return json.dumps(list(texts)).encode() if texts else b""


def joined(stamps: Sequence[bytes | None]) -> bytes | None:
    """Return all stamps as one value that changes whenever one of them does; None if one is no stamp."""
    parts = [stamp[TOKEN] for stamp in stamps if stamp is not None and stamp[:4] == STAMP]
    return b"".join(parts) if len(parts) == len(stamps) else None


def digest_of(stamps: bytes) -> bytes:
    """Return 8 bytes for `stamps`, for a lease to say what its load will be worth."""
    return blake2b(stamps, digest_size=8).digest()


def is_worth_waiting(stored: bytes | None, stamps: bytes) -> bool:
    """Return whether somebody loads, and what they bring will be valid."""
    if stored is None or stored[:4] != LEASE:
        return False
    return stored[DIGEST] == digest_of(stamps)
