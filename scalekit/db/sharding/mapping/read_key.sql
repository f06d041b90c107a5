SELECT shard FROM scalekit_db_shardmapkey WHERE shard_group = %s AND shard_key = %s
