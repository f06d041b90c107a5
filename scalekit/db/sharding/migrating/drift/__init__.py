"""Drift: where the tables of shards differ from each other, or from those that the models would make.

`reading` reads what a database has, `expecting` what it would have if the models had made it just now,
`comparing` says what differs.
"""

from __future__ import annotations

from scalekit.db.sharding.migrating.drift.finding import drift_of

__all__ = ["drift_of"]
