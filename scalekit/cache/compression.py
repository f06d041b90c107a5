"""Large payloads are stored compressed: by Zstandard where Python or the project has it, else by zlib."""

from __future__ import annotations

import zlib
from functools import cache
from importlib import import_module
from typing import Any

from scalekit.cache.conf import settings

PLAIN, ZLIB, ZSTD = range(3)
_LEVEL = 1  # a cache is read often and soon: the quickest level of either gives most of the gain


def compress(payload: bytes) -> tuple[int, bytes]:
    """Return how `payload` is written (`PLAIN`, `ZLIB`, `ZSTD`), and so written."""
    above = settings.COMPRESS_ABOVE
    if above is None or len(payload) <= above:
        return PLAIN, payload
    zstd = _zstd()
    kind, smaller = (
        (ZSTD, zstd.compress(payload, _LEVEL)) if zstd else (ZLIB, zlib.compress(payload, _LEVEL))
    )
    return (kind, smaller) if len(smaller) < len(payload) else (PLAIN, payload)


def decompress(kind: int, payload: bytes | memoryview) -> bytes:
    """Return what `compress` was given. Raises whatever damaged bytes make the library raise."""
    if kind == ZLIB:
        return zlib.decompress(payload)
    zstd = _zstd()
    if kind != ZSTD or zstd is None:
        raise ValueError(f"compressed in a way ({kind}) that this process cannot read")
    return bytes(zstd.decompress(payload))


@cache
def _zstd() -> Any:
    for name in ("compression.zstd", "zstandard"):  # the first is Python's own from 3.14
        try:
            return import_module(name)
        except ImportError:
            continue
    return None
