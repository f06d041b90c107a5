UPDATE scalekit_db_shardlookup SET shard_key = %s, row_id = %s
WHERE model = %s AND field = %s AND digest = %s AND shard_key = %s AND row_id = %s
