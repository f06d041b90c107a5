"""Pickle, the default: every Python value, and quick. Read only what bears this project's signature."""

from __future__ import annotations

import pickle
from typing import Any

from scalekit.cache.exceptions import UncacheableValue
from scalekit.cache.serializers.base import Serializer


class PickleSerializer(Serializer):
    codec = b"p"

    def dumps(self, value: Any) -> bytes:
        try:
            return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            msg = f"A {type(value).__name__} cannot be stored: {error}. Return plain data instead."
            raise UncacheableValue(msg) from error

    def loads(self, payload: memoryview | bytes) -> Any:
        return pickle.loads(payload)  # noqa: S301 - its signature has been verified
