"""Which release this server runs."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from scalekit.health.conf import settings

UNKNOWN = {"version": "unknown"}


def release() -> dict[str, Any]:
    """Return SCALEKIT_HEALTH_VERSION, or what stands in the file that it names.

    Raises OSError or ValueError where that file is not there or holds no JSON object.
    """
    known = settings.VERSION
    if isinstance(known, dict):
        return known
    return _read(known) if known else UNKNOWN


@lru_cache(maxsize=1)
def _read(path: str) -> dict[str, Any]:
    """Read it once: a file that the next deployment has replaced tells nothing of this process."""
    found = json.loads(Path(path).read_text())
    if not isinstance(found, dict):
        msg = f"{path} holds no JSON object"
        raise ValueError(msg)  # noqa: TRY004 - a wrong file, not a wrong call
    return found
