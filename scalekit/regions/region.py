"""What the name of a region may be. Pure: knows no Django and no settings."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def is_region(name: object) -> bool:
    """Tell whether `name` can name a region: it must fit a host name (RFC 1123) and a metric's label."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def region_from(raw: object) -> str:
    """Return `raw` if it names a region; raises ValueError. For names that came from outside."""
    if not is_region(raw):
        raise ValueError("not the name of a region")
    return str(raw)
