"""How a value is stored: an envelope that says what wrote it, when, and for what; signed, else not read.

    V sk version codec flags | id created delta soft-expiry | stamps | payload | signature

The first byte is the kind of what is stored under a key: a value (``V``), as against a lease or a hold.
"""

from __future__ import annotations

import math
from enum import Enum
from secrets import token_bytes
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from scalekit.cache.clock import now
from scalekit.cache.compression import compress, decompress
from scalekit.cache.exceptions import Unreadable
from scalekit.cache.serializers import serializer_of
from scalekit.cache.signatures import SIZE, is_signed, sign

if TYPE_CHECKING:
    from scalekit.cache.serializers.base import Serializer

VALUE = b"V"
FORMAT = VALUE + b"sk\x01"  # kind, magic, version of the envelope

_HEAD = Struct(">5sB8sdfdH")
_LEAST = _HEAD.size + SIZE
_LARGE = 65_536  # bytes from which a view costs less than a copy
_made = tuple.__new__  # of an Entry: half the time of its own __new__


class Missing(Enum):
    """The type of `MISSING`: there is no value, which None would not say."""

    MISSING = "missing"

    def __bool__(self) -> Literal[False]:
        return False


MISSING: Final = Missing.MISSING


class Entry(NamedTuple):
    """One stored value. Times are seconds since the epoch; `delta` is how many seconds its load took.

    `soft_expiry` is infinite for a value that does not age. `stamps` are, as they were given to `pack`,
    the stamps of the names whose change ends the value.
    """

    value: Any
    id: bytes
    created: float
    delta: float
    soft_expiry: float
    stamps: bytes


def pack(  # noqa: PLR0913 - one for each field of the envelope
    value: Any,
    *,
    serializer: Serializer | None = None,
    key: str = "",
    created: float | None = None,
    delta: float = 0.0,
    soft_ttl: float | None = None,
    stamps: bytes = b"",
) -> bytes:
    """Return `value` ready to be stored under `key`, where alone it can be read. Raises `UncacheableValue`.

    `created` is now unless given; `delta` are the seconds its load took; `soft_ttl` the seconds after
    which it is stale; `stamps` at most 65,535 bytes.
    """
    serializer = serializer or serializer_of("default")
    created = now() if created is None else created
    flags, payload = compress(serializer.dumps(value))
    soft_expiry = math.inf if soft_ttl is None else created + soft_ttl
    written = FORMAT + serializer.codec
    head = _HEAD.pack(written, flags, token_bytes(8), created, delta, soft_expiry, len(stamps))
    entry = head + stamps + payload
    return entry + sign(key, entry)


def unpack(stored: object, *, serializer: Serializer | None = None, key: str = "") -> Entry:
    """Return what `pack` was given. Raises `Unreadable`, and deserializes nothing that we did not sign."""
    serializer = serializer or serializer_of("default")
    if not isinstance(stored, bytes) or len(stored) < _LEAST:
        raise Unreadable("It is no entry: too short, or no bytes at all.")
    if not stored.startswith(FORMAT + serializer.codec):
        raise Unreadable("It is of another format, or written by another serializer.")
    body = stored if len(stored) < _LARGE else memoryview(stored)
    if not is_signed(key, body[:-SIZE], stored[-SIZE:]):
        raise Unreadable("Its signature is not ours, or it was written for another key.")
    _, flags, id_, created, delta, soft_expiry, size = _HEAD.unpack_from(stored)
    start = _HEAD.size + size
    payload = body[start:-SIZE]
    try:
        value = serializer.loads(decompress(flags, payload) if flags else payload)
    except Exception as error:  # unpickling may raise anything
        raise Unreadable(f"Its value cannot be read any more: {error!r}.") from error
    return _made(Entry, (value, id_, created, delta, soft_expiry, stored[_HEAD.size : start]))
