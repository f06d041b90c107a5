"""JSON: readable by anything, larger and slower than pickle; for caches that others share."""

from __future__ import annotations

import json
from typing import Any

from scalekit.cache.serializers.base import FaithfulSerializer

_dumps = json.JSONEncoder(
    separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=True
).encode


class JsonSerializer(FaithfulSerializer):
    codec = b"j"
    format = "JSON"

    def write(self, value: Any) -> bytes:
        return _dumps(value).encode()  # a lone surrogate is a ValueError here

    def loads(self, payload: memoryview | bytes) -> Any:
        return json.loads(bytes(payload))
