from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def read_call(call: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the positional and the keyword arguments that `call` stands for.

    It is a tuple or list of the former, a dict of the latter, or a pair ``(tuple, dict)`` of both.
    """
    if isinstance(call, Mapping):
        return (), dict(call)
    if not isinstance(call, tuple | list):
        msg = f"{call!r} is no call: write a tuple of arguments, a dict of them by name, or a pair of both."
        raise TypeError(msg)
    match call:
        case (tuple() | list() as args, dict() as kwargs):
            return tuple(args), dict(kwargs)
    return tuple(call), {}
