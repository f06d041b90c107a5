"""What the `dramatiq` command imports."""

from __future__ import annotations

import django

django.setup()

from benchmarks.queue_peers.on_dramatiq.tasks import broker  # noqa: E402 - Django first

__all__ = ["broker"]
