"""How a value is stored: marked with the format that wrote it, pickled, never trusted to be readable."""

from __future__ import annotations

import pickle
from enum import Enum
from typing import Any, Final, Literal

from scalekit.cache.exceptions import UncacheableValue

FORMAT = b"scalekit\x01"


class Missing(Enum):
    """The type of `MISSING`: there is no value, which None would not say."""

    MISSING = "missing"

    def __bool__(self) -> Literal[False]:
        return False


MISSING: Final = Missing.MISSING


def pack(value: Any) -> bytes:
    """Return `value` ready to be stored. Raises `UncacheableValue`."""
    try:
        return FORMAT + pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        msg = f"A {type(value).__name__} cannot be stored: {error}. Return plain data instead."
        raise UncacheableValue(msg) from error


def unpack(stored: object) -> Any:
    """Return the value. Raises whatever reading garbage, or an older release's value, may raise."""
    if not isinstance(stored, bytes) or not stored.startswith(FORMAT):
        raise ValueError("another format")
    return pickle.loads(memoryview(stored)[len(FORMAT) :])  # noqa: S301 - our own cache, see docs
