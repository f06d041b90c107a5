from __future__ import annotations

from typing import Any

from dramatiq import Middleware

from scalekit.queue.leases import LeaseKeeper


class Leases(Middleware):
    """Keep the leases of running jobs while there is a worker, its drain included."""

    def __init__(self) -> None:
        self._keeper = LeaseKeeper()

    def after_worker_boot(self, broker: Any, worker: Any) -> None:
        self._keeper.start()

    def after_worker_shutdown(self, broker: Any, worker: Any) -> None:
        self._keeper.stop()
