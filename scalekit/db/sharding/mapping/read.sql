SELECT version, assignments, boundaries, live FROM scalekit_db_shardmap WHERE shard_group = %s
