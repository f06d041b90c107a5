"""Take a Django project from one server to millions of users, one rung at a time.

Each rung is an app of its own (``scalekit.db``, ``scalekit.cache``, ``scalekit.queue`` ...) that does
nothing until it is configured; `scalekit.core` is what they share. Start with the README's ladder.
"""

from __future__ import annotations

__version__ = "0.1.0"
