"""A broker in the memory of the test, whatever the settings of the project name."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from django.test import override_settings

from scalekit.queue.brokers import default_broker
from scalekit.queue.conf import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scalekit.queue.brokers.memory import MemoryBroker

MEMORY = "scalekit.queue.brokers.memory.MemoryBroker"


@contextmanager
def memory_broker() -> Iterator[MemoryBroker]:
    """Let jobs go to a broker in memory for the length of a block; the project's own, if it is one."""
    if settings.BROKER.get("default", {}).get("BACKEND") == MEMORY:
        yield cast("MemoryBroker", default_broker())
        return
    with override_settings(SCALEKIT_QUEUE_BROKER={"default": {"BACKEND": MEMORY}}):
        yield cast("MemoryBroker", default_broker())
