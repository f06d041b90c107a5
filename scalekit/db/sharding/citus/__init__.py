"""Shards kept by Citus: the same models, one alias, and PostgreSQL's own planner between the shards.

    SCALEKIT_DB_SHARDING = {"users": {"BACKEND": "scalekit.db.sharding.citus.Citus", "OPTIONS": {"coordinator": "default"}}}

`manage.py citus distribute` turns the group's tables into distributed ones; see docs/howto/move_to_citus.md.
"""

from __future__ import annotations

from scalekit.db.sharding.citus.scheme import Citus

__all__ = ["Citus"]
