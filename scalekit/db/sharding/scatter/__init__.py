"""One query, asked of every shard and answered as by one database: docs/explanation/scatter.md.

`queryset` has the verbs, `plans` what a shard is asked, `statements` the SQL of it, `sorting` the merge,
`reading` and `streaming` the asking; `aggregates`, `summing` and `grouping` make one value of many, `collations` sorts text.
"""

from __future__ import annotations

from scalekit.db.sharding.scatter.queryset import ScatterQuerySet, scattered

__all__ = ["ScatterQuerySet", "scattered"]
