SELECT shard, COUNT(*) FROM scalekit_db_shardmapkey WHERE shard_group = %s GROUP BY shard
