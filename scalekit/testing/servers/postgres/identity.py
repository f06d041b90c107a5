"""A system identifier of its own for a data directory that is a copy.

PostgreSQL recognises "the same database" by this number: a standby refuses to stream from another, and a consistency
token says with it which server a position belongs to. Two shards copied from one template must therefore not share
it. No tool sets it; pg_control holds it in its first eight bytes, under a CRC-32C (src/include/catalog/pg_control.h).
"""

from __future__ import annotations

import secrets
import struct
import time
from typing import TYPE_CHECKING

from scalekit.testing.servers.exceptions import ServerError

if TYPE_CHECKING:
    from pathlib import Path

_CRC_POLYNOMIAL = 0x82F63B78


def renew(data: Path) -> None:
    """Write a new identifier into pg_control; run pg_resetwal afterwards, for the log carries it too."""
    control = data / "global" / "pg_control"
    control.write_bytes(with_identifier(control.read_bytes(), _new_identifier()))


def with_identifier(control: bytes, identifier: int) -> bytes:
    """Return the file with another identifier. Raises `ServerError` if it is not laid out as expected."""
    end = _checksum_position(control)
    fields = struct.pack("=Q", identifier) + control[8:end]
    return fields + struct.pack("=I", crc32c(fields)) + control[end + 4 :]


def crc32c(data: bytes) -> int:
    """Return the Castagnoli checksum of `data`."""
    return _crc_states(data)[-1]


def _checksum_position(control: bytes) -> int:
    """Find the checksum, whose place differs between versions: it is that of all before it."""
    states = _crc_states(control[:1024])
    for end in range(16, len(states) - 4, 4):
        if struct.unpack_from("=I", control, end)[0] == states[end]:
            return end
    raise ServerError("pg_control has no checksum where one was expected")


def _crc_states(data: bytes) -> list[int]:
    """Return the checksum of every prefix of `data`, beginning with the empty one."""
    register, states = 0xFFFFFFFF, [0]
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (_CRC_POLYNOMIAL if register & 1 else 0)
        states.append(register ^ 0xFFFFFFFF)
    return states


def _new_identifier() -> int:
    """Return seconds in the upper half, as initdb does, and chance in the lower."""
    return int(time.time()) << 32 | secrets.randbits(32)
