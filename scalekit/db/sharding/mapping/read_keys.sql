SELECT shard_key, shard FROM scalekit_db_shardmapkey WHERE shard_group = %s
