"""PostgreSQL: `server` is what one talks to; `replication` and `data` are what it is made of."""

from __future__ import annotations

from .server import Postgres

__all__ = ["Postgres"]
