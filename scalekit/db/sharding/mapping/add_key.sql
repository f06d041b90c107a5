INSERT INTO scalekit_db_shardmapkey (shard_group, shard_key, shard) VALUES (%s, %s, %s)
