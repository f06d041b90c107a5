"""MessagePack: JSON's types and bytes, smaller and quicker; needs the package msgpack."""

from __future__ import annotations

from typing import Any

from scalekit.cache.exceptions import SerializerMissing
from scalekit.cache.serializers.base import FaithfulSerializer


class MsgpackSerializer(FaithfulSerializer):
    codec = b"m"
    format = "MessagePack"

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        try:
            import msgpack
        except ImportError as error:
            msg = 'The MessagePack serializer needs msgpack: pip install "django-scalekit[msgpack]"'
            raise SerializerMissing(msg) from error
        self._packb, self._unpackb = msgpack.packb, msgpack.unpackb

    def write(self, value: Any) -> bytes:
        # strict_types: a subclass (SafeString, IntEnum) would come back as its base.
        packed: bytes = self._packb(value, strict_types=True, datetime=True)
        return packed

    def loads(self, payload: memoryview | bytes) -> Any:
        # timestamp=3: aware datetimes come back as such; keys may be numbers.
        return self._unpackb(payload, timestamp=3, strict_map_key=False)
