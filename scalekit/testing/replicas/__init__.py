"""Replicas in the tests of your site, without servers: docs/howto/test_with_replicas.md.

    with visible_replicas() as reads:       # reads are routed as in production; writes to a replica fail
        self.client.get("/photos")
    assert reads["default"] == 0

    with lagging_replicas():                # replicas show nothing that is written inside the block
        self.client.post("/photos", ...)

Both work in `TestCase` and under pytest-django's `db`, and as decorators of a test.
"""

from __future__ import annotations

from .exceptions import ReplicasUntestable
from .lagging import lagging_replicas
from .visible import visible_replicas

__all__ = ["ReplicasUntestable", "lagging_replicas", "visible_replicas"]
