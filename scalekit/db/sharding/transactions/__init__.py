"""Transactions and shards: one shard each (`guarding`, `opening`), or several by two-phase commit (`two_phase`)."""
