"""What the current unit of work has met."""

from __future__ import annotations

from scalekit.core.context import Fact

LOST: Fact[str] = Fact("db_primary_lost", "")  # the primary that failed it
