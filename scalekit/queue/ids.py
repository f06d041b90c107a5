from __future__ import annotations

import secrets
import time
import uuid

_RANDOM = 74  # bits, beside the 48 of the time and the 6 that say which kind of UUID it is


def new_id() -> uuid.UUID:
    """Return a UUID of version 7 (RFC 9562): ids made later sort later, so an index grows at its end."""
    moment = time.time_ns() // 1_000_000
    chance = secrets.randbits(_RANDOM)
    value = (moment & (1 << 48) - 1) << 80 | 0x7 << 76 | 0x2 << 62
    return uuid.UUID(int=value | chance >> 62 << 64 | chance & (1 << 62) - 1)
