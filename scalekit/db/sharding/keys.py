"""Shard keys: which spellings are one key, and its number that never changes."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import TypeAlias
from uuid import UUID

from scalekit.db.exceptions import ShardKeyInvalid

ShardKey: TypeAlias = int | str | UUID

REMEMBERED_LENGTH = 255
UUID_LENGTHS = (32, 36)  # without dashes and with them


def stable_hash(key: ShardKey) -> int:
    """Return 64 bits that depend on the key's text alone: 7, "7" and "07" agree, as do a UUID and its texts.

    Not ``hash()``, which differs between processes (PYTHONHASHSEED). Raises `ShardKeyInvalid`.
    """
    return hash_of_text(canonical_text(key))


def canonical_text(key: ShardKey) -> str:
    """Return the one text of all keys that are the same. Raises `ShardKeyInvalid`."""
    # The exact type's repr: an IntegerChoices member must not hash by its label.
    if isinstance(key, int) and not isinstance(key, bool):
        text = int.__repr__(key)
        return _canonical(text) if len(text) in UUID_LENGTHS else text
    if not isinstance(key, (str, UUID)):
        msg = f"A shard key must be an integer, a string or a UUID, not {key!r}."
        raise ShardKeyInvalid(msg)
    return _canonical(str.__str__(key) if isinstance(key, str) else str(key))


def hash_of_text(text: str) -> int:
    """Return 64 bits of BLAKE2b, as a number."""
    return _remembered(text) if len(text) <= REMEMBERED_LENGTH else _digest(text)


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


# A request looks up one key many times. What visitors type must not fill the memory.
_remembered = lru_cache(maxsize=4096)(_digest)


def _canonical(text: str) -> str:
    """Return one spelling for all that name the same UUID or integer."""
    try:
        return str(UUID(text) if len(text) in UUID_LENGTHS else int(text))
    except ValueError:
        return text
