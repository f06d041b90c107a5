from __future__ import annotations

import json
import re
from typing import Any

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def is_storable(value: Any) -> bool:
    """Tell whether `value` is JSON, and such that a database keeps it.

    PostgreSQL's jsonb has no NaN, no NUL character and no half of a surrogate pair
    (https://www.postgresql.org/docs/current/datatype-json.html).
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return not _NUL.search(text)
