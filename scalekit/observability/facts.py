from __future__ import annotations

import os
import re

from scalekit.core.context import Fact

_WELL_FORMED = re.compile(r"[A-Za-z0-9._@-]{1,128}")


def is_request_id(raw: object) -> bool:
    """Tell whether `raw` may stand in headers, log lines and messages as it is."""
    return isinstance(raw, str) and _WELL_FORMED.fullmatch(raw) is not None


def new_request_id() -> str:
    """Return 128 random bits as 32 hexadecimal digits."""
    return os.urandom(16).hex()


def request_id_from(raw: object) -> str:
    """Return `raw` if it can be trusted as a request id; raises ValueError."""
    if not is_request_id(raw):
        raise ValueError("not a request id")
    return str(raw)


REQUEST_ID: Fact[str] = Fact("request_id", "", portable=True, logged=True, load=request_id_from)
