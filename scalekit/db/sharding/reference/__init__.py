"""Reference tables: rows that every shard has a copy of, to be joined there; written on `default` alone.

`models` is what to derive from. `replication` lets PostgreSQL carry the rows, `outbox` carries them where it
cannot; `comparing` finds what differs.
"""
