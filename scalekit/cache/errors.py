"""Errors that several callers are given. Free of Django."""

from __future__ import annotations

import copy
from typing import TypeVar

E = TypeVar("E", bound=BaseException)


def copy_of(error: E) -> E:
    """Return an error like this one for another thread to raise; the same, if its class cannot be copied.

    Raising an error writes into it: the traceback of each who raises it is added to those of the others.
    """
    try:
        twin = copy.copy(error)
    except Exception:  # noqa: BLE001 - a class whose arguments are not those of its errors raises anything
        return error
    if type(twin) is not type(error):
        return error
    twin.__cause__, twin.__context__ = error.__cause__, error.__context__
    twin.__suppress_context__ = error.__suppress_context__
    return twin.with_traceback(error.__traceback__)
