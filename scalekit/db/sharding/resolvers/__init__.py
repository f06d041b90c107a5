"""Which key of a shard group a request works on; each group has its resolver in SCALEKIT_DB_SHARD_SELECTOR."""
